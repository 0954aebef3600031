package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// resetThing holds the arguments of the host's own jobs on things.
type resetThing struct {
	FailFirst int `json:"fail_first"` // number of attempts that fail
	Millis    int `json:"millis"`     // duration of an attempt
}

// Kind and the following methods implement nawasync.ArgsWithOptions. The repository gives the job its target.
func (resetThing) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "mirror", Type: "thing", Action: "reset"}
}

func (resetThing) Target() nawasync.Target { return nawasync.Target{} }

// Options allows so many attempts that killed workers do not use them up.
func (resetThing) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 25} }

// thingGroup returns what must not happen at once to a thing: a reset, a change or another reset.
func thingGroup(name string) string { return "thing " + name }

// resetHandler runs the host's own jobs on things.
type resetHandler struct {
	nawasync.AbstractJob[resetThing]
	remote *client
	worker string
}

func (resetHandler) Backoff(int) time.Duration {
	return 200*time.Millisecond + rand.N(400*time.Millisecond)
}

// Execute reports its start and end to the simulator.
func (h resetHandler) Execute(ctx context.Context, run *nawasync.Run[resetThing]) error {
	row, err := mirror.Row[thing](ctx)
	if err != nil {
		return err
	}
	job := run.Job()
	r := report{Job: job.ID, Epoch: job.Epoch, Group: thingGroup(row.Name), Worker: h.worker}
	if err := h.remote.tell(ctx, "/start", r, nil); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(time.Duration(run.Args.Millis) * time.Millisecond):
		if run.Attempt() <= run.Args.FailFirst {
			err = fmt.Errorf("attempt %d %s", run.Attempt(), handlerFails)
		}
	}
	if told := h.remote.tell(ctx, "/end", r, nil); err == nil {
		err = told
	}
	return err
}

// during reports a change of a thing to the simulator while it lasts, which is a few milliseconds at least.
func (r thingRemote) during(ctx context.Context, name string, change func() error) error {
	call := report{Call: rand.Int64(), Group: thingGroup(name), Worker: r.worker}
	if err := r.client.tell(ctx, "/call", call, nil); err != nil {
		return err
	}
	time.Sleep(3*time.Millisecond + rand.N(20*time.Millisecond))
	err := change()
	time.Sleep(rand.N(5 * time.Millisecond))
	if told := r.client.tell(ctx, "/called", call, nil); err == nil {
		err = told
	}
	return err
}
