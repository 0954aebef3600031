package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

//go:embed all:templates
var templates embed.FS

// service is what the templates know.
type service struct {
	Name    string // of the service, for example inventory
	Title   string // of its pages
	Env     string // prefix of its environment variables
	Module  string
	Version string // of nawasync
	Replace string // the folder of a checkout of nawasync, or ""
}

// unpublished is the version of nawasync in a module that replaces it by a folder.
const unpublished = "v0.0.0-00010101000000-000000000000"

// runNew is nawasync new service NAME.
func runNew(ctx context.Context, c *call) error {
	var s service
	var dir string
	var tidy bool
	c.flags.StringVar(&dir, "dir", "", "the `folder` to create; empty means NAME")
	c.flags.StringVar(&s.Module, "module", "", "the `path` of the module; empty means example.com/NAME")
	c.flags.StringVar(&s.Version, "nawasync", "latest", "the `version` of nawasync, as go get takes it")
	c.flags.StringVar(&s.Replace, "replace", "", "the `folder` of a checkout of nawasync to use instead of a version")
	c.flags.BoolVar(&tidy, "tidy", true, "whether to run go mod tidy, which downloads the modules")
	names, err := c.parse(2, 2)
	if err != nil {
		return err
	}
	if names[0] != "service" {
		return usagef("new %s: use new service NAME", names[0])
	}
	if err := s.complete(names[1]); err != nil {
		return err
	}
	if dir == "" {
		dir = s.Name
	}
	files, err := s.files()
	if err != nil {
		return err
	}
	if err := writeAll(dir, files); err != nil {
		return err
	}
	if tidy {
		if err := s.resolve(ctx, dir, c.stderr); err != nil {
			return err
		}
	}
	return c.print(map[string]any{"folder": dir, "module": s.Module, "files": len(files)}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %d files of the module %s to %s\n", len(files), s.Module, dir)
		fmt.Fprintf(w, "next: cd %s && go test ./... && go run .\n", dir)
	})
}

// complete checks the name, and sets what follows from it.
func (s *service) complete(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if name == "" || len(name) > 30 || strings.Trim(name, letters+"0123456789") != "" || !strings.Contains(letters, name[:1]) {
		return usagef("new service %q: use 1 to 30 lower-case letters and digits, the first one a letter, for example inventory", name)
	}
	s.Name, s.Title, s.Env = name, strings.ToUpper(name[:1])+name[1:], strings.ToUpper(name)
	if s.Module == "" {
		s.Module = "example.com/" + name
	}
	if s.Replace != "" {
		absolute, err := filepath.Abs(s.Replace)
		if err != nil {
			return fmt.Errorf("-replace: %w", err)
		}
		if _, err := os.Stat(filepath.Join(absolute, "go.mod")); err != nil {
			return usagef("-replace %s: the folder has no go.mod; name a checkout of nawasync", s.Replace)
		}
		s.Replace = filepath.ToSlash(absolute)
	}
	return nil
}

// files returns the content of each file by its path.
func (s *service) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(templates, "templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := s.fill(path)
		if err != nil {
			return fmt.Errorf("template %s: %w", path, err)
		}
		files[strings.TrimSuffix(strings.TrimPrefix(path, "templates/"), ".tmpl")] = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, dialect := range []string{"postgres", "mysql", "sqlite"} {
		if files["items/migrations/"+dialect+"/00001_items.sql"], err = s.migration(dialect); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (s *service) fill(path string) ([]byte, error) {
	parsed, err := template.New(filepath.Base(path)).Delims("«", "»").ParseFS(templates, path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	filled := *s
	if s.Replace != "" {
		filled.Version = unpublished
	}
	if err := parsed.Execute(&out, filled); err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".go.tmpl") {
		return format.Source(out.Bytes()) // the lengths of names decide how fields are aligned
	}
	return out.Bytes(), nil
}

// item has the fields of the struct of the template. A test of the generated module compares them.
type item struct {
	ID        uint64
	Account   string `sync:"scope,limit"`
	Name      string `sync:"key"`
	Size      int64
	Enabled   bool
	Note      string
	Used      int64 `sync:"observed"`
	UpdatedAt time.Time
	nawasync.SyncStatus
}

// itemTable is the name of the table of item, which the migration replaces.
const itemTable = "generated_items"

// TableName returns the name of the table.
func (item) TableName() string { return itemTable }

// migration returns the migration that creates the table.
func (s *service) migration(dialect string) ([]byte, error) {
	statements, err := mirror.TableStatements[item](dialect)
	if err != nil {
		return nil, err
	}
	text := "-- +goose Up\n" + strings.Join(statements, ";\n") + ";\n\n-- +goose Down\nDROP TABLE " + itemTable + ";\n"
	return []byte(strings.ReplaceAll(text, itemTable, s.Name+"_items")), nil
}

// writeAll writes the files into a folder that must not have any.
func writeAll(dir string, files map[string][]byte) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usagef("the folder %s is not empty: name another with -dir", dir)
	}
	for path, text := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // source code
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // source code
			return err
		}
	}
	return nil
}

// resolve lets the go command find the versions of all modules.
func (s *service) resolve(ctx context.Context, dir string, stderr io.Writer) error {
	commands := [][]string{{"mod", "tidy"}}
	if s.Replace == "" {
		commands = [][]string{{"get", "github.com/nawasara/nawasync@" + s.Version}, {"mod", "tidy"}}
	} else if err := copyVersions(s.Replace, dir); err != nil {
		return err
	}
	for _, arguments := range commands {
		command := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // of the go command
		command.Dir, command.Stdout, command.Stderr = dir, stderr, stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("the files are in %s, but go %s failed: %w; run it there again, or use -tidy=false",
				dir, strings.Join(arguments, " "), errors.Join(err, ctx.Err()))
		}
	}
	return nil
}

// copyVersions gives a module that uses a checkout its checksums, so that go mod tidy takes the versions of the checkout.
func copyVersions(checkout, dir string) error {
	text, err := os.ReadFile(filepath.Join(checkout, "go.sum")) //nolint:gosec // a flag names it
	if err != nil {
		return fmt.Errorf("-replace: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "go.sum"), text, 0o644) //nolint:gosec // checksums
}
