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

// riverWorker calls started, unless it is nil, with the number of each job.
type riverWorker struct {
	river.WorkerDefaults[riverArgs]

	started func(n int)
}

func (w riverWorker) Work(_ context.Context, job *river.Job[riverArgs]) error {
	if w.started == nil {
		return nil
	}
	n, err := strconv.Atoi(job.Args.ID)
	if err == nil {
		w.started(n)
	}
	return err
}

// River's lowest settings, for the best latency.
const (
	riverCooldown = time.Millisecond
	riverPoll     = 50 * time.Millisecond
)

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
	settings.MaxConns = connections
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

func riverInsertWith(client *river.Client[pgx.Tx]) dispatchFunc {
	return func(ctx context.Context, n int) error {
		_, err := client.Insert(ctx, riverArgs{strconv.Itoa(n)}, nil)
		return err
	}
}

func (r *riverSubject) Insert(ctx context.Context, n int) error {
	return riverInsertWith(r.insert)(ctx, n)
}

func riverParams(from, n int) []river.InsertManyParams {
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i].Args = riverArgs{strconv.Itoa(from + i)}
	}
	return params
}

// InsertMany returns the jobs, as nawasync's DispatchMany does.
func (r *riverSubject) InsertMany(ctx context.Context, from, n int) error {
	_, err := r.insert.InsertMany(ctx, riverParams(from, n))
	return err
}

// InsertManyFast uses COPY and returns no jobs.
func (r *riverSubject) InsertManyFast(ctx context.Context, from, n int) error {
	_, err := r.insert.InsertManyFast(ctx, riverParams(from, n))
	return err
}

func (r *riverSubject) newWorker(worker riverWorker) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, worker)
	return river.NewClient(riverpgxv5.New(r.pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: r.workers}}, Workers: workers, FetchCooldown: riverCooldown,
		FetchPollInterval: riverPoll,
	})
}

func (r *riverSubject) Drain(ctx context.Context, n int, drained func()) error {
	client, err := r.newWorker(riverWorker{})
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
	drained()
	return client.Stop(ctx)
}

// Work dispatches with a client that notifies the workers of every job: a client with the default
// cooldown notifies once per 100 ms, and other jobs wait for the poll.
func (r *riverSubject) Work(ctx context.Context, started func(n int)) (working, error) {
	other, err := river.NewClient(riverpgxv5.New(r.pool), &river.Config{FetchCooldown: riverCooldown, FetchPollInterval: riverPoll})
	if err != nil {
		return working{}, err
	}
	client, err := r.newWorker(riverWorker{started: started})
	if err != nil {
		return working{}, err
	}
	return working{other: riverInsertWith(other), own: riverInsertWith(client), stop: client.Stop}, client.Start(ctx)
}

func (r *riverSubject) Close() { r.pool.Close() }
