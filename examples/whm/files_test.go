package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/setup"
)

func TestFilesAreInTheUsersOwnFolder(t *testing.T) { //nolint:paralleltest // sets environment variables
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, home)
	}
	out := &output{}
	startExample(t, out, "-addr", "127.0.0.1:0", "-mailboxes", "1")
	found := map[string]os.FileMode{}
	noError(t, filepath.WalkDir(home, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == home {
			return err
		}
		info, err := entry.Info()
		found[entry.Name()] = info.Mode()
		return err
	}))
	for _, name := range []string{"nawasync-whm", "whm.db", "whm.db-wal", "seal.key"} {
		mode, ok := found[name]
		if !ok {
			t.Errorf("there is no %s below the home folder, but %v", name, found)
		}
		if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v, want none for other users", name, mode)
		}
	}
}

func TestWithoutAHomeTheErrorSaysWhatToSet(t *testing.T) { //nolint:paralleltest // sets environment variables
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, "")
	}
	getenv := func(string) string { return "" }
	if _, err := parse(nil, getenv, io.Discard); err == nil || !strings.Contains(err.Error(), "set HOME, or name a file with -dsn") {
		t.Errorf("error %v, want one that says what to set", err)
	}
	if _, err := parse([]string{"-dsn", "sqlite:x"}, getenv, io.Discard); err == nil || !strings.Contains(err.Error(), "name a file with -key") {
		t.Errorf("error %v, want one that names -key", err)
	}
	if _, err := parse([]string{"-dsn", "sqlite:x", "-key", "x"}, getenv, io.Discard); err != nil {
		t.Errorf("with both files the settings fail: %v", err)
	}
}

func TestKeyFileOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode")
	}
	path := filepath.Join(t.TempDir(), "key")
	_, created, err := setup.ReadKey(path)
	if err != nil || !created {
		t.Fatalf("created %v, error %v", created, err)
	}
	for mode, allowed := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false, 0o602: false} {
		noError(t, os.Chmod(path, mode))
		_, _, err := setup.ReadKey(path)
		if allowed && err != nil || !allowed && (err == nil || !strings.Contains(err.Error(), "run: chmod 600 "+path)) {
			t.Errorf("with the mode %o: error %v, allowed %v", mode, err, allowed)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can give a file away
	}
	noError(t, os.Chmod(path, 0o600))
	noError(t, os.Chown(path, 65534, -1))
	if _, _, err := setup.ReadKey(path); err == nil || !strings.Contains(err.Error(), "belongs to the user 65534") {
		t.Errorf("error %v for a key of another user", err)
	}
}

func TestDatabaseFileOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode")
	}
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "50%41? #.db")
	open := func() error {
		db, err := setup.OpenDatabase(t.Context(), "sqlite:"+path)
		if err != nil {
			return err
		}
		noError(t, db.Exec("CREATE TABLE IF NOT EXISTS x (n INTEGER)").Error)
		pool, err := db.DB()
		noError(t, err)
		return pool.Close()
	}
	noError(t, open())
	for name, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want the mode %o", name, info, err, want)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("SQLite used another file than %s: %v, %v", path, files, err)
	}
	for _, file := range []string{path, path + "-wal", path + "-journal"} {
		if file != path {
			noError(t, os.WriteFile(file, nil, 0o600))
		}
		noError(t, os.Chmod(file, 0o644))
		if err := open(); err == nil || !strings.Contains(err.Error(), "-dsn: other users may read or change "+file+" (mode 0644); run: chmod 600 "+file) {
			t.Errorf("error %v for a file %s that others may read", err, file)
		}
		noError(t, os.Chmod(file, 0o600))
		if os.Geteuid() == 0 { // only root can give a file away
			noError(t, os.Chown(file, 65534, -1))
			if err := open(); err == nil || !strings.Contains(err.Error(), file+" belongs to the user 65534") {
				t.Errorf("error %v for a file %s of another user", err, file)
			}
			noError(t, os.Chown(file, os.Geteuid(), -1))
		}
		if file != path {
			noError(t, os.Remove(file))
		}
	}
	noError(t, open())
}

func TestPrintedDatabaseAddressHasNoPassword(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"sqlite:/home/a/whm.db":                     "sqlite:/home/a/whm.db",
		"postgres://a:hunter2@h:1/x?sslmode=a":      "postgres://a:xxxxx@h:1/x",
		"postgres://h/x?user=a&password=hunter2":    "postgres://h/x",
		"mysql://a:hunt%65r2@h/x":                   "mysql://a:xxxxx@h/x",
		"postgres://a:hunter2%zz@h/x":               "(hidden: the DSN is not a URL)",
		"host=h user=a password=hunter2 dbname=abc": "(hidden: the DSN is not a URL)",
	} {
		if got := setup.RedactDSN(dsn); got != want {
			t.Errorf("%s is printed as %s, want %s", dsn, got, want)
		}
	}
}
