package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ownModule is the path of nawasync's module.
const ownModule = "github.com/nawasara/nawasync"

// unpublished is the version of nawasync in a module that replaces it by a folder.
const unpublished = "v0.0.0-00010101000000-000000000000"

func (s *service) completeReplace() error {
	if s.Replace == "" {
		return nil
	}
	absolute, err := filepath.Abs(s.Replace)
	if err != nil {
		return fmt.Errorf("-replace: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(absolute, "go.mod")) //nolint:gosec // a flag names it
	if err != nil || !strings.HasPrefix(string(text), "module "+ownModule+"\n") {
		return usagef("-replace %s: the folder has no go.mod of %s; name a checkout of nawasync", s.Replace, ownModule)
	}
	s.Replace = filepath.ToSlash(absolute)
	return nil
}

// ReplacePath returns the folder as go.mod has it: quoted if it must be.
func (s *service) ReplacePath() string {
	if strings.ContainsAny(s.Replace, " \"'`()[]{},") || strings.Contains(s.Replace, "//") {
		return strconv.Quote(s.Replace)
	}
	return s.Replace
}

// tidying returns the arguments of the go command that find the versions of all modules.
func (s *service) tidying() [][]string {
	if s.Replace != "" {
		return [][]string{{"mod", "tidy"}}
	}
	return [][]string{{"get", ownModule + "@" + s.Version}, {"mod", "tidy"}}
}

// resolve lets the go command find the versions of all modules.
func (s *service) resolve(ctx context.Context, dir string, stderr io.Writer) error {
	for _, arguments := range s.tidying() {
		command := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // of the go command
		command.Dir, command.Stdout, command.Stderr = dir, stderr, stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("the files are in %s, but go %s failed there: %w; run it again when that is repaired",
				dir, strings.Join(arguments, " "), errors.Join(err, ctx.Err()))
		}
	}
	return nil
}

// copyVersions gives a module that uses a checkout its checksums, so that go mod tidy takes the versions of the checkout.
func (s *service) copyVersions(dir string) error {
	if s.Replace == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.Replace, "go.sum"))
	if err != nil {
		return fmt.Errorf("-replace: %w", err)
	}
	return writeNew(filepath.Join(dir, "go.sum"), text)
}
