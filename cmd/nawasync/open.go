package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	drivermysql "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/secret"
)

// connection holds the flags of commands that need a database.
type connection struct {
	dsn, redis, key string
	create          bool // a file of SQLite that is missing
	by, reason      string
	getenv          func(string) string
}

// connect adds the flags. A variable can hold the addresses, which may have passwords: every user of the machine can read flags.
func (c *call) connect() *connection {
	o := &connection{getenv: c.getenv}
	c.flags.StringVar(&o.dsn, "dsn", "", "the database: sqlite:FILE, postgres://… or mysql://user:password@host:port/name; default $NAWASYNC_DSN")
	return o
}

// operate adds the flags of commands that change something.
func (o *connection) operate(c *call) *connection {
	c.flags.StringVar(&o.redis, "redis", "", "the `address` of Redis, redis://host:port/db, which wakes a worker at once; default $NAWASYNC_REDIS, or none")
	c.flags.StringVar(&o.by, "by", "cli:"+cmp.Or(c.getenv("USER"), "unknown"), "the `name` for the audit log")
	c.flags.StringVar(&o.reason, "reason", "", "the `reason` for the audit log")
	return o
}

// answerLimit is how long a database may take until it answers the first time.
const answerLimit = 10 * time.Second

// open opens the database.
func (o *connection) open(ctx context.Context) (*gorm.DB, func(), error) {
	dsn, source := o.dsn, "-dsn"
	if dsn == "" {
		dsn, source = o.getenv("NAWASYNC_DSN"), "NAWASYNC_DSN"
	}
	if dsn == "" {
		return nil, nil, usagef("-dsn is missing: name the database, or set NAWASYNC_DSN")
	}
	dialector, err := o.dialectorOf(dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", source, err)
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard, DisableAutomaticPing: true}) // gorm's ping ignores ctx
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the database cannot be opened: %s", source, hide(err, dsn))
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if err := pool.PingContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("%s: the database cannot be opened: %s", source, hide(errors.Join(err, pool.Close()), dsn))
	}
	return db, func() { _ = pool.Close() }, nil
}

const dsnForms = "use sqlite:FILE, postgres://user:password@host:port/name or mysql://user:password@host:port/name, " +
	"with special characters of the password as in a URL: %40 for @"

func (o *connection) dialectorOf(dsn string) (gorm.Dialector, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "sqlite":
		return o.sqliteOf(rest)
	case "postgres", "postgresql":
		if _, err := url.Parse(dsn); err == nil { // the error would show the password
			return postgres.Open(dsn), nil
		}
	case "mysql":
		if u, err := url.Parse(dsn); err == nil && u.Host != "" && len(u.Path) > 1 {
			return mysqlOf(u)
		}
	}
	return nil, usageError(dsnForms)
}

// sqliteOf does not let SQLite create a file for a name with a mistake.
func (o *connection) sqliteOf(file string) (gorm.Dialector, error) {
	if file == "" {
		return nil, usagef("sqlite: the file is missing; use sqlite:FILE")
	}
	if _, err := os.Stat(file); err != nil && !o.create {
		return nil, fmt.Errorf("%w; only nawasync migrate up creates a database", err)
	}
	path := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(file)
	return sqlite.Open("file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), nil
}

// mysqlOf returns the database of a URL. Its parameters are those of the driver, for example tls=true.
func mysqlOf(u *url.URL) (gorm.Dialector, error) {
	c := drivermysql.NewConfig()
	if u.RawQuery != "" {
		var err error
		if c, err = drivermysql.ParseDSN("/?" + u.RawQuery); err != nil {
			return nil, usagef("a parameter of the address is wrong: %v", err)
		}
	}
	c.Net, c.Addr, c.DBName, c.User, c.ParseTime, c.Loc = "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), u.User.Username(), true, time.UTC
	if u.Port() == "" {
		c.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	c.Passwd, _ = u.User.Password()
	c.Timeout = cmp.Or(c.Timeout, answerLimit) // gorm asks for the version without ctx
	return mysql.Open(c.FormatDSN()), nil
}

// hide returns the text of an error, on one line and without the passwords of an address.
func hide(err error, address string) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	u, parsed := url.Parse(address)
	if parsed != nil {
		return text // there is no connection to such an address
	}
	secrets := slices.Concat(u.Query()["password"], u.Query()["sslpassword"])
	if password, set := u.User.Password(); set {
		secrets = append(secrets, password)
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:]} {
			if form != "" {
				text = strings.ReplaceAll(text, form, "***")
			}
		}
	}
	return text
}

// engine opens the database and returns an engine that dispatches and runs nothing.
func (o *connection) engine(ctx context.Context) (*nawasync.Engine, func(), error) {
	db, closeDB, err := o.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	config := nawasync.Config{DB: db, Logger: slog.New(slog.DiscardHandler)}
	closeAll := closeDB
	if address := cmp.Or(o.redis, o.getenv("NAWASYNC_REDIS")); address != "" {
		options, err := redis.ParseURL(address)
		if err != nil {
			closeDB()
			return nil, nil, usagef("-redis: use redis://user:password@host:6379/0")
		}
		client := redis.NewClient(options)
		config.Redis, closeAll = client, func() {
			_ = client.Close()
			closeDB()
		}
	}
	if o.key != "" {
		if config.Sealer, err = readKey(o.key); err != nil {
			closeAll()
			return nil, nil, err
		}
	}
	engine, err := nawasync.New(config)
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	return engine, closeAll, nil
}

// readKey reads the key that seals arguments.
func readKey(path string) (secret.Sealer, error) {
	key, err := os.ReadFile(path) //nolint:gosec // a flag names it
	if err != nil {
		return nil, fmt.Errorf("-key: %w", err)
	}
	keyring, err := secret.NewKeyring(key)
	if err != nil {
		return nil, fmt.Errorf("-key: %w", err)
	}
	return keyring, nil
}
