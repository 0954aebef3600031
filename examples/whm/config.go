package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// settings holds the values of the flags. Each flag can also be set by an environment variable,
// whose name is the flag's name in capitals, with _ for -.
type settings struct {
	addr      string
	dsn       string
	redis     string
	instances string
	whmURL    string
	whmUser   string
	whmToken  string
	key       string
	role      string
	mailboxes int
	sync      bool
	schedules bool
}

const usage = `whm shows the accounts and mailboxes of WHM servers and changes them through jobs.

Without flags, whm uses a SQLite file, a Redis inside the process and two simulated WHM servers.

An environment variable can set each flag except -mailboxes, -sync and -schedules: the flag's name in capitals, with _ for -.
A flag overrides its variable.

`

// parse reads the flags and the environment. It returns flag.ErrHelp after printing the usage to
// out.
func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("whm", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	stringVar := func(target *string, name, value, help string) {
		flags.StringVar(target, name, value, help)
		// The environment's value must not become the flag's default: -help prints defaults, and the
		// value may be a secret.
		if fromEnv := getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); fromEnv != "" {
			*target = fromEnv
		}
	}
	stringVar(&s.addr, "addr", "127.0.0.1:8080", "the `address` that the pages listen on; the pages have no login, so keep it on loopback")
	stringVar(&s.dsn, "dsn", "",
		"the database: sqlite:FILE, postgres://… or mysql://user:password@host:port/name; empty means the file whm.db in the user's own folder")
	stringVar(&s.redis, "redis", "", "the Redis server: redis://host:port/db; empty starts a Redis inside the process")
	stringVar(&s.instances, "instances", "", "the server `names` when -whm-url is empty: one,two; empty means main,backup")
	stringVar(&s.whmURL, "whm-url", "", "the WHM server: https://host:2087, or several: one=https://…,two=https://…; empty starts simulated servers")
	stringVar(&s.whmUser, "whm-user", "root", "the WHM `user` that the token belongs to")
	stringVar(&s.whmToken, "whm-token", "",
		"the user's API token, or several: one=…,two=…; prefer the variable WHM_TOKEN, because every user of the machine can read flags")
	stringVar(&s.key, "key", "",
		"the `file` with the key that seals job arguments, created if it does not exist; empty means seal.key in the user's own folder")
	stringVar(&s.role, "role", "all", "what the process does: all, web (pages only) or worker (jobs only)")
	flags.IntVar(&s.mailboxes, "mailboxes", 40, "the `number` of mailboxes of the first simulated server")
	flags.BoolVar(&s.sync, "sync", true, "whether the process syncs all accounts and mailboxes when it starts")
	flags.BoolVar(&s.schedules, "schedules", true, "whether the process syncs accounts and mailboxes at their set times")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return s, flag.ErrHelp
	case err != nil:
		return s, fmt.Errorf("parse flags: %w; -help lists the flags", err)
	case flags.NArg() > 0:
		return s, fmt.Errorf("parse flags: argument %d is not a flag; -help lists the flags", len(args)-flags.NArg()+1) // it may be a secret
	}
	if err := s.check(); err != nil {
		return s, err
	}
	return s.withFiles()
}

// check returns an error that names the first wrong flag and says how to fix it.
func (s settings) check() error {
	switch {
	case !slices.Contains([]string{"all", "web", "worker"}, s.role):
		return fmt.Errorf("-role %q: use all, web or worker", s.role)
	case s.role != "all" && s.redis == "":
		return fmt.Errorf("-role %s needs -redis: other processes cannot reach a Redis inside this process", s.role)
	case s.role == "worker" && s.whmURL == "":
		return errors.New("-role worker needs -whm-url: all workers must use the same servers; go run ./examples/whm/whmsim starts a simulated server")
	case s.whmURL != "" && s.whmToken == "" && s.role != "web":
		return errors.New("-whm-url needs -whm-token, or WHM_TOKEN in the environment")
	case s.mailboxes < 1 || s.mailboxes > 1_000_000:
		return fmt.Errorf("-mailboxes %d: use a number from 1 to 1000000", s.mailboxes)
	}
	_, err := s.servers()
	return err
}

// serverConfig is one WHM server of the flags. The URL of a simulated server is empty.
type serverConfig struct{ name, url, token string }

// servers returns the WHM servers that the flags describe, in the order of the flags.
func (s settings) servers() ([]serverConfig, error) {
	var list []serverConfig
	var err error
	if s.whmURL == "" {
		list = s.simulatedServers()
	} else if list, err = s.remoteServers(); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, server := range list {
		if err := checkName(server.name); err != nil {
			return nil, err
		}
		if seen[server.name] {
			return nil, fmt.Errorf("server name %q: use a different name for each server", server.name)
		}
		seen[server.name] = true
	}
	return list, nil
}

// checkName does not show the name: what stands before the first = of a URL may be a password.
func checkName(name string) error {
	if name == "" || len(name) > 30 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("-whm-url or -instances: a server's name is not valid; use 1 to 30 lower-case letters, digits and -, as in main=https://host:2087")
	}
	return nil
}

func (s settings) simulatedServers() (list []serverConfig) {
	names := s.instances
	if names == "" {
		names = "main,backup"
	}
	for name := range strings.SplitSeq(names, ",") {
		list = append(list, serverConfig{name: strings.TrimSpace(name)})
	}
	return list
}

// remoteServers pairs the URLs of -whm-url with the tokens of -whm-token. A URL without a name
// belongs to the server main. A token without a name is for all servers.
func (s settings) remoteServers() (list []serverConfig, err error) {
	tokens := map[string]string{}
	for part := range strings.SplitSeq(s.whmToken, ",") {
		if name, token, named := strings.Cut(part, "="); named {
			tokens[name] = token
		}
	}
	for part := range strings.SplitSeq(s.whmURL, ",") {
		name, url, named := strings.Cut(part, "=")
		if !named {
			name, url = "main", part
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		token := tokens[name]
		if len(tokens) == 0 {
			token = s.whmToken
		}
		if token == "" && s.role != "web" {
			return nil, fmt.Errorf("-whm-token has no token for the server %q; add %s=…", name, name)
		}
		list = append(list, serverConfig{name, url, token})
	}
	return list, nil
}
