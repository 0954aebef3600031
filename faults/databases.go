package main

import (
	"context"
	"database/sql"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/redis/go-redis/v9"
)

// startPostgres starts PostgreSQL with an empty database. fsync=off loses data only when the
// operating system fails, not when the server is killed.
func startPostgres(ctx context.Context, dir string) (*server, error) {
	s, err := newServer(dir, "postgres")
	if err != nil {
		return nil, err
	}
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(bins) == 0 {
		return nil, errors.New("PostgreSQL's programs are not in /usr/lib/postgresql; install the package postgresql")
	}
	bin := slices.MaxFunc(bins, func(a, b string) int { return len(a) - len(b) })
	if err := s.prepare(ctx, bin+"/initdb", "-D", s.dir+"/data", "-U", "postgres"); err != nil {
		return nil, err
	}
	s.args = []string{
		bin + "/postgres", "-D", s.dir + "/data", "-p", s.port(), "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-c", "fsync=off",
	}
	admin := "postgres://postgres@" + s.address + "/postgres?sslmode=disable"
	s.dsn = "postgres://postgres@" + s.address + "/nawasync?sslmode=disable"
	s.ping = pingSQL("pgx", admin)
	return s, s.startDatabase(ctx, "pgx", admin)
}

// startMariaDB starts MariaDB with an empty database. A commit is written to the operating system
// before it is confirmed, so that a killed server loses none.
func startMariaDB(ctx context.Context, dir string) (*server, error) {
	s, err := newServer(dir, "mysql")
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		program = "/usr/sbin/mariadbd"
	}
	data := "--datadir=" + s.dir + "/data"
	if err := s.prepare(ctx, "mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", data); err != nil {
		return nil, err
	}
	s.args = []string{
		program, "--no-defaults", data, "--port=" + s.port(), "--bind-address=127.0.0.1", "--socket=sock", "--pid-file=" + s.dir + "/pid",
		"--max-connections=300", "--innodb-flush-log-at-trx-commit=2",
	}
	admin := "root@tcp(" + s.address + ")/"
	s.dsn = admin + "nawasync"
	s.ping = pingSQL("mysql", admin)
	return s, s.startDatabase(ctx, "mysql", admin)
}

// startDatabase starts a new server and creates the database nawasync.
func (s *server) startDatabase(ctx context.Context, driver, admin string) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	db, err := sql.Open(driver, admin)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "CREATE DATABASE nawasync")
	return err
}

func pingSQL(driver, dsn string) func(context.Context) error {
	return func(ctx context.Context) error {
		db, err := sql.Open(driver, dsn)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		return db.PingContext(ctx)
	}
}

func startRedis(ctx context.Context, dir string) (*server, error) {
	s, err := newServer(dir, "redis")
	if err != nil {
		return nil, err
	}
	s.args = []string{"redis-server", "--port", s.port(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir}
	s.ping = func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: s.address, MaxRetries: -1, DialerRetries: 1})
		defer func() { _ = client.Close() }()
		return client.Ping(ctx).Err()
	}
	return s, s.start(ctx)
}
