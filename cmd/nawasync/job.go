package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// runShow is nawasync jobs show.
func runShow(ctx context.Context, c *call) error {
	o := c.connect()
	arguments, err := c.parse(1, 1)
	if err != nil {
		return err
	}
	list, err := ids(arguments)
	if err != nil {
		return err
	}
	reader, closeDB, err := o.reader(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	job, err := reader.Get(ctx, list[0])
	if errors.Is(err, tracker.ErrNotFound) {
		return fmt.Errorf("job %d: %w", list[0], errNotFound)
	}
	if err != nil {
		return err
	}
	attempts, err := reader.Attempts(ctx, job)
	if err != nil {
		return err
	}
	if attempts == nil {
		attempts = []tracker.Attempt{}
	}
	return c.print(map[string]any{"job": job, "attempts": attempts}, func(w io.Writer) { printJob(w, job, attempts) })
}

// printJob prints a job in full.
func printJob(w io.Writer, job *tracker.Job, attempts []tracker.Attempt) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"job", fmt.Sprint(job.ID)},
		{"status", string(job.Status)},
		{"kind", job.Service + "/" + job.Type + "/" + job.Action},
		{"instance", job.Instance},
		{"target", job.TargetID},
		{"queue", job.Queue},
		{"dispatched", at(job.CreatedAt) + " by " + job.TriggeredBy},
		{"due", dueOf(job)},
		{"started", at(job.StartedAt)},
		{"ended", at(job.FinishedAt)},
		{"attempts", fmt.Sprintf("%d of %d", job.Attempt, job.MaxAttempts)},
		{"retry of", idOf(job.RetryOf)},
		{"retried as", idOf(job.RetriedAs)},
		{"arguments", string(job.Payload)},
		{"result", string(job.Result)},
		{"values", string(job.Diff)},
		{"error", job.Error},
		{"class", job.ErrorClass},
	} {
		if line[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", line[0], plain(line[1]))
		}
	}
	for _, a := range attempts {
		fmt.Fprintf(table, "attempt %d\t%s at %s after %s %s\n", a.Attempt, a.Outcome, at(a.StartedAt), a.Duration.Round(time.Millisecond), plain(a.Error))
	}
	_ = table.Flush()
}

// at returns a time as people read it, or "" if there is none.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime) + " UTC"
}

// dueOf returns when a job that waits is due next.
func dueOf(job *tracker.Job) string {
	if job.Status.Terminal() || job.Status == tracker.StatusRunning {
		return ""
	}
	return at(job.NotBefore)
}

// idOf returns the id of another job, or "" if there is none.
func idOf(id int64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprint(id)
}
