package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// connections is the size of the connection pool of nawasync and of River.
const connections = 20

type database struct{ url string }

// newDatabase creates an empty database on the server of the URL admin. The returned function drops
// the database.
func newDatabase(ctx context.Context, admin string) (*database, func(), error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	name := fmt.Sprintf("nawasync_bench_%d", time.Now().UnixNano())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(admin)
	if err != nil {
		return nil, nil, err
	}
	u.Path = "/" + name
	drop := func() {
		conn, err := pgx.Connect(ctx, admin)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		_, _ = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	return &database{u.String()}, drop, nil
}

// checkpoint vacuums and analyses the database, writes a checkpoint and returns the WAL position. The
// tables grow too fast for autovacuum, and without statistics the planner would choose bad plans.
func (d *database) checkpoint(ctx context.Context) (int64, error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return 0, err
	}
	if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
		return 0, err
	}
	return position(ctx, conn)
}

func (d *database) walPosition(ctx context.Context) (int64, error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	return position(ctx, conn)
}

func position(ctx context.Context, conn *pgx.Conn) (n int64, err error) {
	err = conn.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&n)
	return n, err
}

func redisClient(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, DB: 15, PoolSize: 64})
}

func flush(ctx context.Context, addr string) error {
	client := redisClient(addr)
	defer func() { _ = client.Close() }()
	return client.FlushDB(ctx).Err()
}

// waitUntil polls a count until it reaches n.
func waitUntil(ctx context.Context, n int, count func() (int, error)) error {
	for {
		have, err := count()
		if err != nil || have >= n {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
