// Package setup has what the processes of the examples share: flags, files, connections, and the way from the start
// to the end.
package setup

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
)

// Settings are the values of the flags that each example has.
type Settings struct {
	Name      string // of the example
	Addr      string
	DSN       string
	Redis     string
	Key       string
	Role      string // all, web or worker
	Sync      bool
	Schedules bool
}

// Flags reads flags that can be set by environment variables too: a variable has the flag's name in capitals, with _
// for -.
type Flags struct {
	*flag.FlagSet

	getenv func(string) string
	usage  string
}

// NewFlags returns the flags of an example, without any.
func NewFlags(name, usage string, getenv func(string) string) *Flags {
	f := &Flags{flag.NewFlagSet(name, flag.ContinueOnError), getenv, usage}
	f.SetOutput(io.Discard)
	return f
}

// Text adds a flag for a text.
func (f *Flags) Text(target *string, name, value, help string) {
	f.StringVar(target, name, value, help)
	// The environment's value must not become the flag's default: -help prints defaults, and the
	// value may be a secret.
	if fromEnv := f.getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); fromEnv != "" {
		*target = fromEnv
	}
}

// Common adds the flags of Settings. what says what the process syncs.
func (f *Flags) Common(s *Settings, what string) {
	s.Name = f.Name()
	f.Text(&s.Addr, "addr", "127.0.0.1:8080", "the `address` that the pages listen on; the pages have no login, so keep it on loopback")
	f.Text(&s.DSN, "dsn", "",
		"the database: sqlite:FILE, postgres://… or mysql://user:password@host:port/name; empty means the file "+s.Name+".db in the user's own folder")
	f.Text(&s.Redis, "redis", "", "the Redis server: redis://host:port/db; empty starts a Redis inside the process")
	f.Text(&s.Key, "key", "",
		"the `file` with the key that seals job arguments, created if it does not exist; empty means seal.key in the user's own folder")
	f.Text(&s.Role, "role", "all", "what the process does: all, web (pages only) or worker (jobs only)")
	f.BoolVar(&s.Sync, "sync", true, "whether the process syncs all "+what+" when it starts")
	f.BoolVar(&s.Schedules, "schedules", true, "whether the process syncs "+what+" at their set times")
}

// Parse reads the flags. It returns flag.ErrHelp after printing the usage to out.
func (f *Flags) Parse(args []string, out io.Writer) error {
	switch err := f.FlagSet.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, f.usage)
		f.SetOutput(out)
		f.PrintDefaults()
		return flag.ErrHelp
	case err != nil:
		return fmt.Errorf("parse flags: %w; -help lists the flags", err)
	case f.NArg() > 0:
		return fmt.Errorf("parse flags: argument %d is not a flag; -help lists the flags", len(args)-f.NArg()+1) // it may be a secret
	}
	return nil
}

// Complete checks the settings and fills in the paths that are not set.
func (s Settings) Complete() (Settings, error) {
	switch {
	case !slices.Contains([]string{"all", "web", "worker"}, s.Role):
		return s, fmt.Errorf("-role %q: use all, web or worker", s.Role)
	case s.Role != "all" && s.Redis == "":
		return s, fmt.Errorf("-role %s needs -redis: other processes cannot reach a Redis inside this process", s.Role)
	}
	return s.withFiles()
}

// Secrets returns the passwords in the addresses of the database and of Redis, for nawasync.Config.Secrets.
func (s Settings) Secrets() (list []nawasync.Secret) {
	for _, address := range []string{s.DSN, s.Redis} {
		for _, value := range passwords(address) {
			list = AddSecret(list, value.password, value.user)
		}
	}
	return list
}

// AddSecret adds a value to a list of secrets. nawasync removes a secret wherever it occurs. A short value, and one that
// is the user's name too, would be part of ordinary words: it is left out.
func AddSecret(list []nawasync.Secret, value, user string) []nawasync.Secret {
	if len(strings.TrimSpace(value)) < 6 || value == user {
		return list
	}
	return append(list, nawasync.NewSecret(value))
}

// login is a user and its password.
type login struct{ user, password string }

// passwords returns the passwords in the URL of a database or of Redis.
func passwords(address string) (list []login) {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	if password, ok := u.User.Password(); ok {
		list = append(list, login{u.User.Username(), password})
	}
	for key, values := range u.Query() {
		if strings.Contains(strings.ToLower(key), "password") {
			for _, value := range values {
				list = append(list, login{u.User.Username(), value})
			}
		}
	}
	return list
}
