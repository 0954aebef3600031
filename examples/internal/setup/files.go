package setup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nawasara/nawasync"
)

// userFile returns the path of a file in the example's folder, which belongs to the user alone.
func userFile(folder, name, flag string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("-%s: there is no folder for the user's own files (%w); set HOME, or name a file with -%[1]s", flag, err)
	}
	return filepath.Join(dir, folder, name), nil
}

// withFiles returns the settings with the paths that neither a flag nor the environment has set.
func (s Settings) withFiles() (Settings, error) {
	var err error
	if s.DSN == "" {
		if s.DSN, err = userFile("nawasync-"+s.Name, s.Name+".db", "dsn"); err != nil {
			return s, err
		}
		s.DSN = "sqlite:" + s.DSN
	}
	if s.Key == "" {
		s.Key, err = userFile("nawasync-"+s.Name, "seal.key", "key")
	}
	return s, err
}

// createDatabaseFile creates the file of a SQLite database for the user alone, if it does not exist. SQLite
// gives its other files the mode of this one. It refuses files that another user owns or may read.
func createDatabaseFile(path string) error {
	if strings.HasPrefix(path, ":") { // no file, for example :memory:
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal", ""} { // SQLite reads what it finds in these
		switch info, err := os.Stat(path + suffix); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case info.Mode().IsRegular():
			if err := checkPrivate(path+suffix, info); err != nil {
				return err
			}
		}
		if suffix == "" {
			return nil // to open and close the file would release the locks of this process
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is a setting
	if err != nil {
		return err
	}
	return file.Close()
}

// sqliteDSN returns the DSN of a SQLite file. In a DSN, some characters of a path have a meaning.
func sqliteDSN(path string) string {
	// docs/operations.md explains why nawasync needs these parameters.
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"
}

const keySize = 32

// ReadKey reads the sealing key. If the file does not exist, ReadKey creates a random key and
// reports created. It refuses a file that another user owns or may read.
func ReadKey(path string) (key []byte, created bool, err error) {
	file, err := os.Open(path) //nolint:gosec // the path is a setting
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		_, _ = rand.Read(key) // never returns an error
		return createKey(path, key)
	}
	if err != nil {
		return nil, false, fmt.Errorf("-key: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat() // of the open file, which nobody can exchange
	if err == nil && info.Mode().IsRegular() {
		err = checkPrivate(path, info)
	}
	if err == nil {
		key, err = io.ReadAll(io.LimitReader(file, 1<<20))
	}
	if err != nil {
		return nil, false, fmt.Errorf("-key: %w", err)
	}
	if len(key) != keySize {
		return nil, false, fmt.Errorf("-key: %s has %d bytes, not %d; create a key with: openssl rand -out %[1]s %[3]d", path, len(key), keySize)
	}
	return key, false, nil
}

// createKey writes the key to a temporary file and links the file to path. The link is atomic: if
// several processes start at the same time, one of them creates the key and the others read it.
func createKey(path string, key []byte) ([]byte, bool, error) {
	fail := func(err error) ([]byte, bool, error) { return nil, false, fmt.Errorf("-key: %w", err) }
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".key-*") // creates the file with mode 0600
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
			return ReadKey(path)
		}
		return fail(err)
	}
	return key, true, nil
}

// ReadSecret reads a secret from a file, without the white space around it. It refuses a file that another user owns or
// may read.
func ReadSecret(flag, path string) (nawasync.Secret, error) {
	fail := func(err error) (nawasync.Secret, error) { return nawasync.Secret{}, fmt.Errorf("-%s: %w", flag, err) }
	file, err := os.Open(path) //nolint:gosec // the path is a setting
	if err != nil {
		return fail(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = checkPrivate(path, info)
	}
	if err != nil {
		return fail(err)
	}
	text, err := io.ReadAll(io.LimitReader(file, 1<<16))
	if err != nil {
		return fail(err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return fail(fmt.Errorf("%s is empty", path))
	}
	return nawasync.NewSecret(value), nil
}
