package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

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

// eachJob does something to each job of the arguments. The error says how many have refused it, and has the exit code of
// the last one.
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
	failed := 0
	for _, id := range list {
		job, err := do(engine, id)
		result := outcome{ID: id, Job: job}
		if err != nil {
			failed++
			last = refusal{id, err}
			result.Job, result.Error = nil, last.Error()
		} else {
			result.State = job.Status
		}
		outcomes = append(outcomes, result)
	}
	if failed > 0 && len(list) > 1 {
		last = fmt.Errorf("%d of %d jobs; the last error is: %w", failed, len(list), last)
	}
	return errors.Join(last, c.print(outcomes, func(w io.Writer) { printOutcomes(w, c.stderr, outcomes) }))
}

// refusal is the error of one job, with what the command can do about it.
type refusal struct {
	id  int64
	err error
}

func (e refusal) Unwrap() error { return e.err }

func (e refusal) Error() string {
	text := e.err.Error()
	if errors.Is(e.err, nawasync.ErrSuperseded) {
		text += " (-force)"
	}
	if strings.Contains(text, fmt.Sprintf("job %d: ", e.id)) { // the engine has said which job
		return text
	}
	return fmt.Sprintf("job %d: %s", e.id, text)
}

// printOutcomes prints what became of each job. The error of a command with one job is printed by report.
func printOutcomes(w, stderr io.Writer, outcomes []outcome) {
	for _, result := range outcomes {
		switch {
		case result.Job == nil:
			if len(outcomes) > 1 {
				fmt.Fprintln(stderr, plain(result.Error))
			}
		case result.Job.ID != result.ID:
			fmt.Fprintf(w, "job %d is retried as job %d\n", result.ID, result.Job.ID)
		case result.Job.Status == tracker.StatusRunning:
			fmt.Fprintf(w, "job %d runs; it was asked to end\n", result.ID)
		default:
			fmt.Fprintf(w, "job %d is %s\n", result.ID, result.State)
		}
	}
}
