package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/internal/setup"
)

// settings holds the values of the flags and of the environment.
type settings struct {
	setup.Settings

	names     string
	url       string
	tokenFile string
	token     string // CLOUDFLARE_TOKEN; there is no flag for it, because every user of the machine can read flags
	records   int
}

const usage = `cloudflare shows the zones and DNS records of Cloudflare accounts and changes the records through jobs.

Without flags, cloudflare uses a SQLite file, a Redis inside the process and a simulated Cloudflare with two accounts.
For the real Cloudflare, put an API token into a file and name it with -cloudflare-token-file, or set the variable CLOUDFLARE_TOKEN.

An environment variable can set each flag except -records, -sync and -schedules: the flag's name in capitals, with _ for -.
A flag overrides its variable.

`

// parse reads the flags and the environment. It returns flag.ErrHelp after printing the usage to out.
func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	s := settings{token: strings.TrimSpace(getenv("CLOUDFLARE_TOKEN"))}
	flags := setup.NewFlags("cloudflare", usage, getenv)
	flags.Common(&s.Settings, "zones and records")
	flags.Text(&s.names, "accounts", "", "the account `names` when there is no token: one,two; empty means main,shop")
	flags.Text(&s.url, "cloudflare-url", "", "the address of the API; empty means "+cfapi.DefaultURL+", or without a token a simulated Cloudflare")
	flags.Text(&s.tokenFile, "cloudflare-token-file", "",
		"the `file` with an API token that may read zones and edit DNS, or several: one=FILE,two=FILE; the variable CLOUDFLARE_TOKEN can hold the token itself")
	flags.IntVar(&s.records, "records", 40, "the `number` of records of the first simulated zone")
	if err := flags.Parse(args, out); err != nil {
		return s, err
	}
	var err error
	if s.Settings, err = s.Complete(); err != nil {
		return s, err
	}
	return s, s.check()
}

// check returns an error that names the first wrong flag and says how to fix it.
func (s settings) check() error {
	switch {
	case s.Role == "worker" && !s.real():
		return errors.New("-role worker needs -cloudflare-token-file or CLOUDFLARE_TOKEN: all workers must use the same accounts; go run ./examples/cloudflare/cfsim starts a simulated Cloudflare")
	case s.url != "" && !s.real() && s.Role != "web":
		return errors.New("-cloudflare-url needs -cloudflare-token-file, or CLOUDFLARE_TOKEN in the environment")
	case s.tokenFile != "" && s.token != "":
		return errors.New("-cloudflare-token-file and CLOUDFLARE_TOKEN are both set: use one of them")
	case s.records < 9 || s.records > 100_000:
		return fmt.Errorf("-records %d: use a number from 9 to 100000", s.records)
	}
	_, err := s.accounts()
	return err
}

// real reports whether there is a token, so that the process calls an API that is not its own.
func (s settings) real() bool { return s.tokenFile != "" || s.token != "" }

// accountConfig is an account. Simulated accounts, and those of a process without jobs, have no token.
type accountConfig struct {
	name  string
	token nawasync.Secret
}

// accounts returns the accounts that the flags describe.
func (s settings) accounts() (list []accountConfig, err error) {
	source := s.names
	switch {
	case s.tokenFile != "":
		source = s.tokenFile
	case s.token != "":
		source = s.token
	case source == "":
		source = "main,shop"
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(source, ",") {
		a := accountConfig{name: strings.TrimSpace(part)}
		if s.real() {
			name, value, named := strings.Cut(part, "=")
			if !named {
				name, value = "main", part
			}
			a = accountConfig{name, nawasync.NewSecret(strings.TrimSpace(value))}
			if s.tokenFile != "" {
				if a.token, err = setup.ReadSecret("cloudflare-token-file", value); err != nil {
					return nil, err
				}
			}
		}
		if a.name == "" || len(a.name) > 30 || strings.Trim(a.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return nil, errors.New("an account's name is not valid; use 1 to 30 lower-case letters, digits and -, as in main=FILE") // it may be a token
		}
		if seen[a.name] {
			return nil, fmt.Errorf("account name %q: use a different name for each account", a.name)
		}
		seen[a.name] = true
		list = append(list, a)
	}
	return list, nil
}

// credentials returns what this process sends to the database, to Redis and to Cloudflare.
func (s settings) credentials() []nawasync.Secret {
	list := s.Secrets()
	accounts, err := s.accounts()
	if err != nil {
		return list // check has returned the error
	}
	for _, a := range accounts {
		list = setup.AddSecret(list, a.token.Reveal(), "")
	}
	return list
}
