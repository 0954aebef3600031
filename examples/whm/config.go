package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// settings are the flags. Each may also come from an environment variable: the
// flag's name in capitals, with _ for -.
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
}

const usage = `whm shows mailboxes of a WHM server, and changes them through jobs.

Without flags it needs nothing: a SQLite file, Redis in the process, and a
simulated WHM server.

`

// errUsage says that the flags were wrong and that it has been said.
var errUsage = errors.New("wrong flags")

// parse reads flags and environment, and says what is wrong with them.
func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("whm", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	text := func(to *string, name, value, help string) {
		if from := getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); from != "" {
			value = from
		}
		flags.StringVar(to, name, value, help)
	}
	folder := filepath.Join(os.TempDir(), "nawasync-whm")
	text(&s.addr, "addr", "127.0.0.1:8080", "where the page listens")
	text(&s.dsn, "dsn", "sqlite:"+filepath.Join(folder, "whm.db"), "the database: sqlite:FILE, postgres://… or mysql://user:password@host:port/name")
	text(&s.redis, "redis", "", "redis://host:port/db; empty is a Redis in the process")
	text(&s.instances, "instances", "", "names of the servers, for a -role web: one,two; default those of -whm-url, or main,backup")
	text(&s.whmURL, "whm-url", "", "https://host:2087, or several: one=https://…,two=https://…; empty is two simulated servers")
	text(&s.whmUser, "whm-user", "root", "the WHM user")
	text(&s.whmToken, "whm-token", "", "the user's API token, or several: one=…,two=…; better given as WHM_TOKEN, for other users see flags")
	text(&s.key, "key", filepath.Join(folder, "seal.key"), "file of the key that seals arguments; made when it is not there")
	text(&s.role, "role", "all", "all, web (page only) or worker (jobs only)")
	flags.IntVar(&s.mailboxes, "mailboxes", 40, "how many mailboxes the simulated server has")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return s, flag.ErrHelp
	case err != nil:
		return s, fmt.Errorf("%w: %w; -help lists the flags", errUsage, err)
	case flags.NArg() > 0:
		return s, fmt.Errorf("%w: %q is no flag; -help lists them", errUsage, flags.Arg(0))
	}
	return s, s.check()
}

func (s settings) check() error {
	switch {
	case !slices.Contains([]string{"all", "web", "worker"}, s.role):
		return fmt.Errorf("-role %q: it is all, web or worker", s.role)
	case s.role != "all" && s.redis == "":
		return fmt.Errorf("-role %s needs -redis: a Redis in this process would not be heard by the others", s.role)
	case s.role == "worker" && s.whmURL == "":
		return errors.New("-role worker needs -whm-url: several workers share one server; go run ./examples/whm/whmsim starts a simulated one")
	case s.whmURL != "" && s.whmToken == "" && s.role != "web":
		return errors.New("-whm-url needs -whm-token, or WHM_TOKEN in the environment")
	case s.mailboxes < 1 || s.mailboxes > 1_000_000:
		return fmt.Errorf("-mailboxes %d: it is 1 to 1000000", s.mailboxes)
	}
	_, err := s.servers()
	return err
}

// place is where one server is; a simulated one has no URL.
type place struct{ name, url, token string }

// servers are the places that the flags name, in their order.
func (s settings) servers() (list []place, err error) {
	if s.whmURL == "" {
		names := s.instances
		if names == "" {
			names = "main,backup"
		}
		for name := range strings.SplitSeq(names, ",") {
			list = append(list, place{name: strings.TrimSpace(name)})
		}
	} else {
		tokens := map[string]string{}
		for part := range strings.SplitSeq(s.whmToken, ",") {
			if name, token, several := strings.Cut(part, "="); several {
				tokens[name] = token
			}
		}
		for part := range strings.SplitSeq(s.whmURL, ",") {
			name, url, several := strings.Cut(part, "=")
			if !several {
				name, url = "main", part
			}
			token := tokens[name]
			if len(tokens) == 0 {
				token = s.whmToken
			}
			if token == "" && s.role != "web" {
				return nil, fmt.Errorf("-whm-token has none for the server %q; write %s=…", name, name)
			}
			list = append(list, place{name, url, token})
		}
	}
	seen := map[string]bool{}
	for _, p := range list {
		if p.name == "" || len(p.name) > 30 || strings.Trim(p.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || seen[p.name] {
			return nil, fmt.Errorf("a server's name is of small letters, digits and -, and each has its own: %q", p.name)
		}
		seen[p.name] = true
	}
	return list, nil
}

const keySize = 32

// readKey reads the sealing key, and makes it where there is none.
func readKey(path string) (key []byte, made bool, err error) {
	key, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		_, _ = rand.Read(key) // it never fails
		return makeKey(path, key)
	}
	if err != nil {
		return nil, false, fmt.Errorf("-key: %w", err)
	}
	if len(key) != keySize {
		return nil, false, fmt.Errorf("-key: %s holds %d bytes, not %d; make one with: openssl rand -out %[1]s %[3]d", path, len(key), keySize)
	}
	return key, false, nil
}

// makeKey lets one of several processes that start at once make the key: it
// appears under its name whole, or not at all.
func makeKey(path string, key []byte) ([]byte, bool, error) {
	fail := func(err error) ([]byte, bool, error) { return nil, false, fmt.Errorf("-key: %w", err) }
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(key)
	if err = errors.Join(err, file.Close()); err != nil {
		return fail(err)
	}
	if err := os.Link(file.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return readKey(path)
		}
		return fail(err)
	}
	return key, true, nil
}

// displayURL is a DSN without its password.
func displayURL(dsn string) string {
	if u, err := url.Parse(dsn); err == nil {
		return u.Redacted()
	}
	return "(given)"
}
