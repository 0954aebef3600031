package main

import (
	"cmp"
	"context"
	"fmt"
	"go/token"
	"io"
	"slices"
	"strings"
)

// service is what the templates know.
type service struct {
	Name    string // of the service, for example inventory
	Title   string // of its pages
	Env     string // prefix of its environment variables
	Module  string
	Version string // of nawasync
	Replace string // the folder of a checkout of nawasync, or ""
}

// runNew is nawasync new service NAME.
func runNew(ctx context.Context, c *call) error {
	var s service
	var dir string
	var tidy bool
	c.flags.StringVar(&dir, "dir", "", "the `folder` to create; empty means NAME")
	c.flags.StringVar(&s.Module, "module", "", "the `path` of the module; empty means example.com/NAME")
	c.flags.StringVar(&s.Version, "nawasync", "", "the `version` of nawasync, as go get takes it; empty means latest")
	c.flags.StringVar(&s.Replace, "replace", "", "the `folder` of a checkout of nawasync to use instead of a version")
	c.flags.BoolVar(&tidy, "tidy", true, "whether to run go mod tidy, which downloads the modules that are not in Go's cache")
	names, err := c.parse(2, 2)
	if err != nil {
		return err
	}
	if names[0] != "service" {
		return usagef("new %.40q: use new service NAME", names[0])
	}
	if err := s.complete(names[1]); err != nil {
		return err
	}
	dir = cmp.Or(dir, s.Name)
	files, err := s.files()
	if err != nil {
		return err
	}
	if err := writeAll(dir, files); err != nil {
		return err
	}
	if err := s.copyVersions(dir); err != nil {
		return err
	}
	if tidy {
		if err := s.resolve(ctx, dir, c.stderr); err != nil {
			return err
		}
	}
	return c.print(map[string]any{"folder": dir, "module": s.Module, "files": len(files)}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %d files of the module %s to %s\n", len(files), s.Module, dir)
		steps := []string{"cd " + dir}
		if !tidy {
			for _, arguments := range s.tidying() {
				steps = append(steps, "go "+strings.Join(arguments, " "))
			}
		}
		fmt.Fprintf(w, "next: %s && go test ./... && go run .\n", strings.Join(steps, " && "))
		fmt.Fprintln(w, "README.md says what each file is, and docs/new-service.md of nawasync leads on")
	})
}

const (
	letters = "abcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
)

// complete checks the name, and sets what follows from it.
func (s *service) complete(name string) error {
	switch {
	case name == "" || len(name) > 30 || strings.Trim(name, letters+digits) != "" || !strings.Contains(letters, name[:1]):
		return usagef("new service %.60q: use 1 to 30 lower-case letters and digits, the first one a letter, for example inventory; "+
			"-dir names another folder, and -module the path of the module", name)
	case token.IsKeyword(name):
		return usagef("new service %s: the name is a keyword of Go; use another one, for example %[1]sservice", name)
	case slices.Contains([]string{"api", "sim", "items", "nawasync", "vendor", "internal"}, name):
		return usagef("new service %s: the name is that of a package of the module, of a table of nawasync or of a folder with a meaning for Go; use another one", name)
	}
	s.Name, s.Title, s.Env = name, strings.ToUpper(name[:1])+name[1:], strings.ToUpper(name)
	s.Module = cmp.Or(s.Module, "example.com/"+name)
	if !isModulePath(s.Module) {
		return usagef("-module %.80q: use a path such as example.com/%s: letters, digits and - . _ ~, with / between its parts", s.Module, name)
	}
	if s.Replace != "" && s.Version != "" {
		return usagef("-nawasync and -replace name two versions of nawasync: use one of them")
	}
	s.Version = cmp.Or(s.Version, "latest")
	return s.completeReplace()
}

// isModulePath reports whether the go command takes a path as that of a module.
func isModulePath(path string) bool {
	if path == ownModule || strings.HasPrefix(path, ownModule+"/") {
		return false // it would import itself
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "vendor" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") ||
			strings.Trim(strings.ToLower(part), letters+digits+"-._~") != "" {
			return false
		}
	}
	return !strings.HasPrefix(path, "-")
}
