package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/setup"
)

// settings holds the values of the flags and of the environment.
type settings struct {
	setup.Settings

	name    string // of the server
	url     string
	keyFile string
	key     nawasync.Secret // there is no flag for it, because every user of the machine can read flags
	sets    int
}

const usage = `powerdns shows the zones and record sets of a PowerDNS server and changes them through jobs.

Without flags, powerdns uses a SQLite file, a Redis inside the process and a simulated PowerDNS.
For a real PowerDNS, set its address with -powerdns-url, and put the API key into a file and name it with -powerdns-key-file, or set
the variable POWERDNS_KEY.

An environment variable can set each flag except -sets, -sync and -schedules: the flag's name in capitals, with _ for -.
A flag overrides its variable.

`

// parse reads the flags and the environment. It returns flag.ErrHelp after printing the usage to out.
func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	s := settings{key: nawasync.NewSecret(strings.TrimSpace(getenv("POWERDNS_KEY")))}
	flags := setup.NewFlags("powerdns", usage, getenv)
	flags.Common(&s.Settings, "zones and record sets")
	flags.Text(&s.name, "server", "main", "the `name` of the server on the pages")
	flags.Text(&s.url, "powerdns-url", "", "the address of the server's API, for example http://127.0.0.1:8081; empty means a simulated PowerDNS")
	flags.Text(&s.keyFile, "powerdns-key-file", "", "the `file` with the API key; the variable POWERDNS_KEY can hold the key itself")
	flags.IntVar(&s.sets, "sets", 40, "the `number` of record sets of the first simulated zone")
	if err := flags.Parse(args, out); err != nil {
		return s, err
	}
	var err error
	if s.Settings, err = s.Complete(); err != nil {
		return s, err
	}
	err = s.check()
	return s, err
}

// check reads the key, and returns an error that names the first wrong flag and says how to fix it.
func (s *settings) check() (err error) {
	hasKey := s.key.Reveal() != ""
	switch {
	case s.Role == "worker" && !s.real():
		return errors.New("-role worker needs -powerdns-url: all workers must use the same server; go run ./examples/powerdns/pdnssim starts a simulated one")
	case s.keyFile != "" && hasKey:
		return errors.New("-powerdns-key-file and POWERDNS_KEY are both set: use one of them")
	case s.real() && s.Role != "web" && s.keyFile == "" && !hasKey:
		return errors.New("-powerdns-url needs -powerdns-key-file, or POWERDNS_KEY in the environment")
	case !s.real() && (s.keyFile != "" || hasKey) && s.Role != "web":
		return errors.New("there is an API key, but no -powerdns-url")
	case s.name == "" || len(s.name) > 30 || strings.Trim(s.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return errors.New("-server: use 1 to 30 lower-case letters, digits and -")
	case s.sets < 6 || s.sets > 100_000:
		return fmt.Errorf("-sets %d: use a number from 6 to 100000", s.sets)
	}
	if s.keyFile != "" {
		s.key, err = setup.ReadSecret("powerdns-key-file", s.keyFile)
	}
	return err
}

// real reports whether there is an address, so that the process calls an API that is not its own.
func (s *settings) real() bool { return s.url != "" }

// credentials returns what this process sends to the database, to Redis and to PowerDNS.
func (s *settings) credentials() []nawasync.Secret {
	return setup.AddSecret(s.Secrets(), s.key.Reveal(), "")
}
