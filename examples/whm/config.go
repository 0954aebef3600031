package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nawasara/nawasync/examples/internal/setup"
)

// settings holds the values of the flags. Each flag can also be set by an environment variable,
// whose name is the flag's name in capitals, with _ for -.
type settings struct {
	setup.Settings

	instances string
	whmURL    string
	whmUser   string
	whmToken  string
	mailboxes int
	metrics   string
	traces    string
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
	flags := setup.NewFlags("whm", usage, getenv)
	flags.Common(&s.Settings, "accounts and mailboxes")
	flags.Text(&s.instances, "instances", "", "the server `names` when -whm-url is empty: one,two; empty means main,backup")
	flags.Text(&s.whmURL, "whm-url", "", "the WHM server: https://host:2087, or several: one=https://…,two=https://…; empty starts simulated servers")
	flags.Text(&s.whmUser, "whm-user", "root", "the WHM `user` that the token belongs to")
	flags.Text(&s.whmToken, "whm-token", "",
		"the user's API token, or several: one=…,two=…; prefer the variable WHM_TOKEN, because every user of the machine can read flags")
	flags.Text(&s.metrics, "metrics", "",
		"the `address` that serves /metrics to Prometheus, such as 127.0.0.1:9464; it has no login, so keep it on loopback; empty serves none")
	flags.Text(&s.traces, "traces", "", "where spans of OpenTelemetry go: `log`; empty makes none")
	flags.IntVar(&s.mailboxes, "mailboxes", 40, "the `number` of mailboxes of the first simulated server")
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
	case s.Role == "worker" && s.whmURL == "":
		return errors.New("-role worker needs -whm-url: all workers must use the same servers; go run ./examples/whm/whmsim starts a simulated server")
	case s.whmURL != "" && s.whmToken == "" && s.Role != "web":
		return errors.New("-whm-url needs -whm-token, or WHM_TOKEN in the environment")
	case s.traces != "" && s.traces != "log":
		return fmt.Errorf("-traces %q: use log", s.traces)
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
		if token == "" && s.Role != "web" {
			return nil, fmt.Errorf("-whm-token has no token for the server %q; add %s=…", name, name)
		}
		list = append(list, serverConfig{name, url, token})
	}
	return list, nil
}
