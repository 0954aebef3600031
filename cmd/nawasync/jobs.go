package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// runList is nawasync jobs list.
func runList(ctx context.Context, c *call) error {
	o := c.connect()
	search := tracker.Search{}
	terms := map[tracker.Field]*string{}
	for field, help := range map[tracker.Field]string{
		tracker.FieldService: "of the service, or several: a,b", tracker.FieldType: "of the type of object", tracker.FieldAction: "of the action",
		tracker.FieldInstance: "of the instance", tracker.FieldStatus: "of the status, or several: failed,conflict",
	} {
		terms[field] = c.flags.String(string(field), "", "only jobs with this `name` "+help)
	}
	since := c.flags.Duration("since", 0, "only jobs that were dispatched within this `time`, for example 24h")
	c.flags.IntVar(&search.Limit, "limit", 50, "the `number` of jobs, up to 500")
	c.flags.Int64Var(&search.Before, "before", 0, "only jobs older than the job with this `id`, as a list says at its end")
	if _, err := c.parse(0, 0); err != nil {
		return err
	}
	for field, value := range terms {
		if *value != "" {
			search.Terms = append(search.Terms, tracker.Term{Field: field, Values: strings.Split(*value, ",")})
		}
	}
	for status := range strings.SplitSeq(*terms[tracker.FieldStatus], ",") {
		if status != "" && !slices.Contains(tracker.Statuses(), tracker.Status(status)) {
			return usagef("-status %q: use one of %v", status, tracker.Statuses())
		}
	}
	if search.Limit < 1 || search.Limit > 500 {
		return usagef("-limit %d: use a number from 1 to 500", search.Limit)
	}
	reader, closeDB, err := o.reader(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	if *since > 0 {
		search.From = reader.Now().Add(-*since)
	}
	page, err := reader.Search(ctx, search)
	if err != nil {
		return err
	}
	list := page.Jobs
	if list == nil {
		list = []*tracker.Job{}
	}
	return c.print(map[string]any{"jobs": list, "before": page.Older}, func(w io.Writer) { printJobs(w, page) })
}

func (o *connection) reader(ctx context.Context) (*tracker.Reader, func(), error) {
	engine, closeAll, err := o.engine(ctx)
	if err != nil {
		return nil, nil, err
	}
	return engine.Reader(), closeAll, nil
}

func printJobs(w io.Writer, page tracker.Results) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "JOB\tSTATUS\tKIND\tINSTANCE\tTARGET\tDISPATCHED\tBY\tERROR")
	for _, j := range page.Jobs {
		fmt.Fprintf(table, "%d\t%s\t%s/%s/%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, j.Status, j.Service, j.Type, j.Action, clean(j.Instance), clean(j.TargetID),
			j.CreatedAt.Format(time.DateTime), clean(j.TriggeredBy), clean(j.Error))
	}
	_ = table.Flush()
	if page.Older != 0 {
		fmt.Fprintf(w, "more: -before %d\n", page.Older)
	}
}

// clean returns a text without what would change a terminal or a table, and shortens it.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return text
}

// ids returns the ids of jobs.
func ids(arguments []string) (list []int64, err error) {
	for _, text := range arguments {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, usagef("%.40q is not the id of a job", text)
		}
		list = append(list, id)
	}
	return list, nil
}

// maxIDs is how many jobs one command changes.
const maxIDs = 500

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
	return c.print(map[string]any{"job": job, "attempts": attempts}, func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, line := range [][2]string{
			{"job", fmt.Sprint(job.ID)},
			{"status", string(job.Status)},
			{"kind", job.Service + "/" + job.Type + "/" + job.Action},
			{"instance", job.Instance},
			{"target", job.TargetID},
			{"dispatched", job.CreatedAt.Format(time.DateTime) + " by " + job.TriggeredBy},
			{"arguments", string(job.Payload)},
			{"result", string(job.Result)},
			{"error", job.Error},
		} {
			if line[1] != "" {
				fmt.Fprintf(table, "%s\t%s\n", line[0], strings.TrimSuffix(clean(line[1]), "…"))
			}
		}
		for _, a := range attempts {
			fmt.Fprintf(table, "attempt %d\t%s at %s after %s %s\n", a.Attempt, a.Outcome, a.StartedAt.Format(time.DateTime), a.Duration, clean(a.Error))
		}
		_ = table.Flush()
	})
}

// outcome is what became of one job of a command.
type outcome struct {
	ID    int64          `json:"id"`
	Job   *tracker.Job   `json:"job,omitempty"` // the retry, or the cancelled job
	State tracker.Status `json:"status,omitempty"`
	Error string         `json:"error,omitempty"`
}

// runRetry is nawasync jobs retry.
func runRetry(ctx context.Context, c *call) error {
	o := c.connect().operate(c)
	c.flags.StringVar(&o.key, "key", "", "the `file` with the key that seals arguments; without it, the workers open those of the first job")
	force := c.flags.Bool("force", false, "retry a job even if a later job of the same target succeeded")
	return o.eachJob(ctx, c, func(engine *nawasync.Engine, id int64) (*tracker.Job, error) {
		return engine.Retry(ctx, id, nawasync.RetryOptions{By: o.by, Reason: o.reason, Force: *force})
	})
}

// runCancel is nawasync jobs cancel.
func runCancel(ctx context.Context, c *call) error {
	o := c.connect().operate(c)
	return o.eachJob(ctx, c, func(engine *nawasync.Engine, id int64) (*tracker.Job, error) {
		return engine.Cancel(ctx, id, nawasync.OperatorOptions{By: o.by, Reason: o.reason})
	})
}

// eachJob does something to each job of the arguments. The error is that of the last job that refused it.
func (o *connection) eachJob(ctx context.Context, c *call, do func(engine *nawasync.Engine, id int64) (*tracker.Job, error)) error {
	arguments, err := c.parse(1, maxIDs)
	if err != nil {
		return err
	}
	list, err := ids(arguments)
	if err != nil {
		return err
	}
	engine, closeAll, err := o.engine(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	var outcomes []outcome
	var last error
	for _, id := range list {
		job, err := do(engine, id)
		result := outcome{ID: id, Job: job}
		if err != nil {
			last, result.Job, result.Error = fmt.Errorf("job %d: %w", id, err), nil, err.Error()
		} else {
			result.State = job.Status
		}
		outcomes = append(outcomes, result)
	}
	return errors.Join(last, c.print(outcomes, func(w io.Writer) {
		for _, result := range outcomes {
			switch {
			case result.Job == nil: // report says why
			case result.Job.ID != result.ID:
				fmt.Fprintf(w, "job %d is retried as job %d\n", result.ID, result.Job.ID)
			default:
				fmt.Fprintf(w, "job %d is %s\n", result.ID, result.State)
			}
		}
	}))
}
