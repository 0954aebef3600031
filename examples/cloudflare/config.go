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

const usage = `cloudflare shows the accounts, zones and DNS records of Cloudflare and changes the records through jobs.

Without flags, cloudflare uses a SQLite file, a Redis inside the process and a simulated Cloudflare with two tokens.
For the real Cloudflare, put an API token into a file and name it with -cloudflare-token-file, or set the variable CLOUDFLARE_TOKEN.

An environment variable can set each flag except -records, -sync and -schedules: the flag's name in capitals, with _ for -.
A flag overrides its variable.

`

// parse reads the flags and the environment. It returns flag.ErrHelp after printing the usage to out.
func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	s := settings{token: strings.TrimSpace(getenv("CLOUDFLARE_TOKEN"))}
	flags := setup.NewFlags("cloudflare", usage, getenv)
	flags.Common(&s.Settings, "accounts, zones and records")
	flags.Text(&s.names, "tokens", "", "the `names` of the tokens when there is no token: one,two; empty means main,shop")
	flags.Text(&s.url, "cloudflare-url", "", "the address of the API; empty means "+cfapi.DefaultURL+", or without a token a simulated Cloudflare")
	flags.Text(&s.tokenFile, "cloudflare-token-file", "",
		"the `file` with an API token that may read accounts and zones and edit DNS, or several: one=FILE,two=FILE; the variable CLOUDFLARE_TOKEN can hold the token itself")
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
		return errors.New("-role worker needs -cloudflare-token-file or CLOUDFLARE_TOKEN: all workers must use the same tokens; go run ./examples/cloudflare/cfsim starts a simulated Cloudflare")
	case s.url != "" && !s.real() && s.Role != "web":
		return errors.New("-cloudflare-url needs -cloudflare-token-file, or CLOUDFLARE_TOKEN in the environment")
	case s.tokenFile != "" && s.token != "":
		return errors.New("-cloudflare-token-file and CLOUDFLARE_TOKEN are both set: use one of them")
	case s.records < 9 || s.records > 100_000:
		return fmt.Errorf("-records %d: use a number from 9 to 100000", s.records)
	}
	_, err := s.tokens()
	return err
}

// real reports whether there is a token, so that the process calls an API that is not its own.
func (s settings) real() bool { return s.tokenFile != "" || s.token != "" }

// tokenConfig is a token with its name. Those of a simulated Cloudflare, and of a process without jobs, are empty at first.
type tokenConfig struct {
	name  string
	token nawasync.Secret
}

// tokens returns the tokens that the flags describe.
func (s settings) tokens() (list []tokenConfig, err error) {
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
		t := tokenConfig{name: strings.TrimSpace(part)}
		if s.real() {
			name, value, named := strings.Cut(part, "=")
			if !named {
				name, value = "main", part
			}
			t = tokenConfig{name, nawasync.NewSecret(strings.TrimSpace(value))}
			if s.tokenFile != "" {
				if t.token, err = setup.ReadSecret("cloudflare-token-file", value); err != nil {
					return nil, err
				}
			}
		}
		if t.name == "" || len(t.name) > 30 || strings.Trim(t.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return nil, errors.New("a token's name is not valid; use 1 to 30 lower-case letters, digits and -, as in main=FILE") // it may be a token
		}
		if seen[t.name] {
			return nil, fmt.Errorf("token name %q: use a different name for each token", t.name)
		}
		seen[t.name] = true
		list = append(list, t)
	}
	return list, nil
}

// credentials returns what this process sends to the database, to Redis and to Cloudflare.
func (s settings) credentials() []nawasync.Secret {
	list := s.Secrets()
	tokens, err := s.tokens()
	if err != nil {
		return list // check has returned the error
	}
	for _, t := range tokens {
		list = setup.AddSecret(list, t.token.Reveal(), "")
	}
	return list
}
