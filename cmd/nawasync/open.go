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

// open opens the database.
func (o *connection) open(ctx context.Context) (*gorm.DB, func(), error) {
	dsn := cmp.Or(o.dsn, o.getenv("NAWASYNC_DSN"))
	dialector, err := dialectorOf(dsn)
	if err != nil {
		return nil, nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, nil, fmt.Errorf("-dsn: the database does not answer: %s", hide(err, dsn))
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := pool.PingContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("-dsn: the database does not answer: %s", hide(errors.Join(err, pool.Close()), dsn))
	}
	return db, func() { _ = pool.Close() }, nil
}

func dialectorOf(dsn string) (gorm.Dialector, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "":
		return nil, usagef("-dsn is missing: name the database, or set NAWASYNC_DSN")
	case "sqlite":
		path := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(rest)
		return sqlite.Open("file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), nil
	case "postgres", "postgresql":
		if _, err := url.Parse(dsn); err == nil { // the error would show the password
			return postgres.Open(dsn), nil
		}
	case "mysql":
		if u, err := url.Parse(dsn); err == nil && u.Host != "" && len(u.Path) > 1 {
			c := drivermysql.NewConfig()
			c.Net, c.Addr, c.DBName, c.User, c.ParseTime = "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), u.User.Username(), true
			if u.Port() == "" {
				c.Addr = net.JoinHostPort(u.Hostname(), "3306")
			}
			c.Passwd, _ = u.User.Password()
			return mysql.Open(c.FormatDSN()), nil
		}
	}
	return nil, usagef("-dsn: use sqlite:FILE, postgres://user:password@host:port/name or mysql://user:password@host:port/name")
}

// hide returns the text of an error, on one line and without the password of an address.
func hide(err error, address string) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if u, parsed := url.Parse(address); parsed == nil && u.User != nil {
		if password, set := u.User.Password(); set && password != "" {
			text = strings.ReplaceAll(text, password, "***")
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
