package main

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

type riverArgs struct {
	ID string `json:"id"`
}

func (riverArgs) Kind() string { return "noop" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
}

func (riverWorker) Work(context.Context, *river.Job[riverArgs]) error { return nil }

type riverSubject struct {
	pool    *pgxpool.Pool
	insert  *river.Client[pgx.Tx]
	workers int
}

func openRiver(ctx context.Context, c config) (subject, error) {
	settings, err := pgxpool.ParseConfig(c.postgres)
	if err != nil {
		return nil, err
	}
	settings.MaxConns = 20
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	insert, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	return &riverSubject{pool, insert, c.workers}, err
}

func (r *riverSubject) Insert(ctx context.Context, n int) error {
	_, err := r.insert.Insert(ctx, riverArgs{strconv.Itoa(n)}, nil)
	return err
}

func (r *riverSubject) InsertMany(ctx context.Context, from, n int) error {
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i].Args = riverArgs{strconv.Itoa(from + i)}
	}
	_, err := r.insert.InsertManyFast(ctx, params)
	return err
}

func (r *riverSubject) Drain(ctx context.Context, n int) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, riverWorker{})
	client, err := river.NewClient(riverpgxv5.New(r.pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: r.workers}}, Workers: workers, FetchCooldown: time.Millisecond,
		FetchPollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	// River sends a completion event after the commit of the batch that contains the completion.
	events, cancel := client.SubscribeConfig(&river.SubscribeConfig{Kinds: []river.EventKind{river.EventKindJobCompleted}, ChanSize: 100_000})
	defer cancel()
	var before int
	if err := r.pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state = 'completed'").Scan(&before); err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	for done := before; done < n; done++ {
		select {
		case <-events:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return client.Stop(ctx)
}

func (r *riverSubject) Close() { r.pool.Close() }
