package testdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// PgBouncer starts a PgBouncer in transaction mode before a PostgreSQL database, with fewer connections to the server
// than a pool has, and opens the database through it. mode is pgx's default_query_exec_mode. PgBouncer skips the test
// if the program pgbouncer is not installed.
func PgBouncer(t testing.TB, db *Database, mode string) *Database {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if errors.Is(err, exec.ErrNotFound) {
		program = "/usr/sbin/pgbouncer" // Debian's
		if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
			t.Skip("needs the program pgbouncer; install the package pgbouncer")
		}
	}
	u, err := url.Parse(db.DSN)
	requireNoError(t, err)
	folder, err := os.MkdirTemp("", "pgbouncer") //nolint:usetesting // a socket's path may have 107 bytes, and TempDir has the test's name
	requireNoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	login := "user=" + u.User.Username()
	if password, found := u.User.Password(); found {
		login += " password='" + password + "'"
	}
	settings := fmt.Sprintf(`[databases]
app = host=%s port=%s dbname=%s %s connect_query='SET search_path TO %s'
[pgbouncer]
pool_mode = transaction
default_pool_size = 4
auth_type = any
listen_addr =
unix_socket_dir = %s
log_connections = 0
log_disconnections = 0
`, u.Hostname(), u.Port(), u.Path[1:], login, u.Query().Get("search_path"), folder)
	file := filepath.Join(folder, "pgbouncer.ini")
	requireNoError(t, os.WriteFile(file, []byte(settings), 0o644)) //nolint:gosec // for the user of PgBouncer
	requireNoError(t, os.Chmod(folder, 0o777))                     //nolint:gosec // likewise
	args := []string{file}
	if os.Geteuid() == 0 {
		args = []string{"-u", "nobody", file} // it does not run as root
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	requireNoError(t, err)
	ctx, cancel := context.WithCancel(context.Background()) // what the test starts later ends before
	command := exec.CommandContext(ctx, program, args...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	command.Stdout, command.Stderr = log, log
	requireNoError(t, command.Start())
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
		_ = log.Close()
	})
	dsn := fmt.Sprintf("host=%s port=6432 user=app dbname=app default_query_exec_mode=%s", folder, mode)
	opened, err := Open("postgres", dsn)
	for begin := time.Now(); err != nil && time.Since(begin) < 30*time.Second; opened, err = Open("postgres", dsn) {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("PgBouncer does not answer: %v\n%s", err, text)
	}
	t.Cleanup(func() { closeDB(opened) })
	return &Database{DB: opened, Dialect: "postgres", DSN: dsn}
}
