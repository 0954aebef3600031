// Command quickstart runs nawasync without installing anything: SQLite in a file, Redis in the
// process and one kind of job. The job fails once and is retried.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/glebarez/sqlite"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/tracker"
)

// SetQuota holds the arguments of the job. nawasync stores them in the job's row.
type SetQuota struct {
	Email   string `json:"email"`
	QuotaMB int    `json:"quota_mb"`
}

func (SetQuota) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "mail", Type: "mailbox", Action: "set_quota"}
}
func (a SetQuota) Target() nawasync.Target { return nawasync.Target{ID: a.Email} }

type setQuota struct{ nawasync.AbstractJob[SetQuota] }

func (setQuota) Backoff(int) time.Duration { return time.Second }

// Execute stands in for a call of the mail server's API: the first attempt fails.
func (setQuota) Execute(_ context.Context, run *nawasync.Run[SetQuota]) error {
	if run.Attempt() == 1 {
		return errors.New("mail server: 503 Service Unavailable")
	}
	run.SetResult(map[string]int{"quota_mb": run.Args.QuotaMB})
	return nil
}

func main() {
	dir, err := os.MkdirTemp("", "nawasync")
	if err == nil {
		err = errors.Join(run(context.Background(), dir, os.Stdout), os.RemoveAll(dir))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string, out io.Writer) error {
	db, err := gorm.Open(sqlite.Open("file:"+filepath.Join(dir, "app.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"),
		&gorm.Config{})
	if err != nil {
		return err
	}
	if err := migrations.Up(ctx, db); err != nil {
		return err
	}
	inProcess := miniredis.NewMiniRedis()
	defer inProcess.Close()
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return inProcess.Dial() }})
	defer client.Close()
	events := make(chan nawasync.Event, 1)
	engine, err := nawasync.New(nawasync.Config{
		DB: db, Redis: client, Logger: slog.New(slog.DiscardHandler),
		OnEvent: func(_ context.Context, e nawasync.Event) { events <- e },
	})
	if err != nil {
		return err
	}
	if err := errors.Join(nawasync.Register(engine, setQuota{}), engine.Start(ctx)); err != nil {
		return err
	}
	job, err := engine.Dispatch(ctx, SetQuota{Email: "ann@example.org", QuotaMB: 500}, nawasync.Options{By: "user:7"})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "dispatched job %d for %s, by %s\n", job.ID, job.TargetID, job.TriggeredBy)
	fmt.Fprintf(out, "event: %s\n", (<-events).Type)
	page, err := engine.Reader().Search(ctx, tracker.Search{Services: []string{"mail"}, Limit: 25})
	for _, j := range page.Jobs {
		attempts, _ := engine.Reader().Attempts(ctx, j)
		for _, a := range attempts {
			fmt.Fprintf(out, "job %d attempt %d: %s %s\n", j.ID, a.Attempt, a.Outcome, a.Error)
		}
	}
	return errors.Join(err, engine.Stop(ctx))
}
