package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

//go:embed all:templates
var templates embed.FS

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
	if err := parsed.Execute(&out, &filled); err != nil {
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
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return usagef("the folder %s is not empty: name another with -dir", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return usagef("the folder %s cannot be written: %v; name another with -dir", dir, err)
	}
	for path, text := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // source code
			return fmt.Errorf("write the module: %w", err)
		}
		if err := writeNew(path, text); err != nil {
			return fmt.Errorf("write the module: %w", err)
		}
	}
	return nil
}

// writeNew writes a file that must not exist.
func writeNew(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // source code
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
