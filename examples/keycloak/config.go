package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/setup"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
)

// settings holds the values of the flags and of the environment.
type settings struct {
	setup.Settings

	names      string
	url        string
	clientID   string
	secretFile string
	secret     string // KEYCLOAK_SECRET; there is no flag for it, because every user of the machine can read flags
	users      int
}

const usage = `keycloak shows the users and clients of Keycloak realms and changes them through jobs.

Without flags, keycloak uses a SQLite file, a Redis inside the process and a simulated Keycloak with two realms.
For a real Keycloak, name its address with -keycloak-url, and put the secret of a client with a service account into a file:
-keycloak-secret-file realm=FILE. The variable KEYCLOAK_SECRET can hold the secret itself: realm=SECRET.

An environment variable can set each flag except -users, -sync and -schedules: the flag's name in capitals, with _ for -.
A flag overrides its variable.

`

// parse reads the flags and the environment. It returns flag.ErrHelp after printing the usage to out.
func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	s := settings{secret: strings.TrimSpace(getenv("KEYCLOAK_SECRET"))}
	flags := setup.NewFlags("keycloak", usage, getenv)
	flags.Common(&s.Settings, "users and clients")
	flags.Text(&s.names, "realms", "", "the realm `names` when there is no secret: one,two; empty means main,shop")
	flags.Text(&s.url, "keycloak-url", "", "the `address` of the server, without /admin or /realms; empty means a simulated Keycloak")
	flags.Text(&s.clientID, "keycloak-client", "nawasync", "the `client id` in each realm whose service account makes the calls")
	flags.Text(&s.secretFile, "keycloak-secret-file", "", "the `file` with the client's secret of each realm: one=FILE,two=FILE; the variable KEYCLOAK_SECRET can hold the secrets themselves")
	flags.IntVar(&s.users, "users", 40, "the `number` of users of the first simulated realm")
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
		return errors.New("-role worker needs -keycloak-secret-file or KEYCLOAK_SECRET: all workers must use the same realms; go run ./examples/keycloak/kcsim starts a simulated Keycloak")
	case s.url != "" && !s.real() && s.Role != "web":
		return errors.New("-keycloak-url needs -keycloak-secret-file, or KEYCLOAK_SECRET in the environment")
	case s.url == "" && s.real():
		return errors.New("-keycloak-secret-file and KEYCLOAK_SECRET need -keycloak-url, the address of the server")
	case s.secretFile != "" && s.secret != "":
		return errors.New("-keycloak-secret-file and KEYCLOAK_SECRET are both set: use one of them")
	case s.users < 4 || s.users > 100_000:
		return fmt.Errorf("-users %d: use a number from 4 to 100000", s.users)
	}
	_, err := s.realms()
	return err
}

// real reports whether there is a secret, so that the process calls a server that is not its own.
func (s settings) real() bool { return s.secretFile != "" || s.secret != "" }

// realms returns the realms that the flags describe. Simulated ones, and those of a process without jobs, have no secret.
func (s settings) realms() (list []kcapi.Realm, err error) {
	source := s.names
	switch {
	case s.secretFile != "":
		source = s.secretFile
	case s.secret != "":
		source = s.secret
	case source == "":
		source = "main,shop"
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(source, ",") {
		realm := kcapi.Realm{Name: strings.TrimSpace(part), ClientID: s.clientID}
		if s.real() {
			name, value, named := strings.Cut(part, "=")
			if !named {
				return nil, errors.New("-keycloak-secret-file and KEYCLOAK_SECRET name the realm, too: realm=FILE") // the value may be a secret
			}
			realm.Name, realm.Secret = strings.TrimSpace(name), nawasync.NewSecret(strings.TrimSpace(value))
			if s.secretFile != "" {
				if realm.Secret, err = setup.ReadSecret("keycloak-secret-file", value); err != nil {
					return nil, err
				}
			}
		}
		switch {
		case realm.Name == "" || len(realm.Name) > 100 || strings.ContainsAny(realm.Name, "/ %"):
			return nil, errors.New("a realm's name is not valid; write it as in realm=FILE")
		case seen[realm.Name]:
			return nil, fmt.Errorf("the realm %q is named twice", realm.Name)
		}
		seen[realm.Name] = true
		list = append(list, realm)
	}
	return list, nil
}

// credentials returns what this process sends to the database, to Redis and to Keycloak.
func (s settings) credentials() []nawasync.Secret {
	list := s.Secrets()
	realms, err := s.realms()
	if err != nil {
		return list // check has returned the error
	}
	for _, realm := range realms {
		list = setup.AddSecret(list, realm.Secret.Reveal(), "")
	}
	return list
}
