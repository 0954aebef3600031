package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/glebarez/sqlite"
	drivermysql "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// OpenDatabase opens the database of a DSN and checks that the database answers.
func OpenDatabase(ctx context.Context, dsn string) (*gorm.DB, error) {
	var dialector gorm.Dialector
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "sqlite":
		if rest == "" {
			return nil, errors.New("-dsn sqlite: the file name is missing; use sqlite:FILE")
		}
		if err := createDatabaseFile(rest); err != nil {
			return nil, fmt.Errorf("-dsn: %w", err)
		}
		dialector = sqlite.Open(sqliteDSN(rest))
	case "postgres", "postgresql":
		if _, err := url.Parse(dsn); err != nil { // the error would show the password
			return nil, errors.New("-dsn: use postgres://user:password@host:port/name, with special characters of the password escaped as in a URL")
		}
		dialector = postgres.Open(dsn)
	case "mysql":
		c, err := mysqlConfig(dsn)
		if err != nil {
			return nil, err
		}
		dialector = mysql.Open(c.FormatDSN())
	default:
		return nil, errors.New("-dsn: unknown scheme; use sqlite:, postgres:// or mysql://")
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		// A driver's error may have several lines. Join them, so that the error is one line of output.
		return nil, fmt.Errorf("-dsn: the database does not answer: %s", hidePassword(strings.Join(strings.Fields(err.Error()), " "), dsn))
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("-dsn: %w", err)
	}
	pool.SetMaxOpenConns(20)
	pool.SetMaxIdleConns(20)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := pool.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("-dsn: the database does not answer: %s", hidePassword(errors.Join(err, pool.Close()).Error(), dsn))
	}
	return db, nil
}

func mysqlConfig(dsn string) (*drivermysql.Config, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Host == "" || len(u.Path) < 2 {
		return nil, errors.New("-dsn: use mysql://user:password@host:port/name")
	}
	c := drivermysql.NewConfig()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if u.Port() == "" {
		c.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.ParseTime = true // the snapshot tables have columns of type time.Time
	return c, nil
}

// OpenRedis connects to a Redis server. An empty address starts a Redis inside the process. The
// caller must call the returned function to close the connections.
func OpenRedis(ctx context.Context, address string) (*redis.Client, func(), error) {
	if address == "" {
		return startRedis()
	}
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, nil, errors.New("-redis: use redis://user:password@host:6379/0, with special characters of the password escaped as in a URL")
	}
	client := redis.NewClient(options)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, nil, fmt.Errorf("-redis: the server does not answer: %s", hidePassword(errors.Join(err, client.Close()).Error(), address))
	}
	return client, func() { _ = client.Close() }, nil
}

// startRedis starts a Redis inside the process.
func startRedis() (*redis.Client, func(), error) {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the Redis inside the process: %w", err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	// miniredis has no clock of its own: keys expire only when FastForward is called.
	ticker := time.NewTicker(time.Second)
	quit := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				server.FastForward(time.Second)
			case <-quit:
				return
			}
		}
	}()
	return client, func() {
		ticker.Stop()
		close(quit)
		_ = client.Close()
		server.Close()
	}, nil
}
