// Package remotecall carries, in the context of a job, what its calls of an external API need to know
// about the job, and what they report about themselves. The engine sets it; package remote reads it.
// It imports the standard library only.
package remotecall

import (
	"context"
	"time"
)

// Spender is who a call is made for.
type Spender int

// The spenders. Each has a minimum of a shared budget.
const (
	People Spender = iota // jobs of users, and calls outside of a job
	Syncs                 // syncs, confirmations, feeds
	Bulk                  // jobs that were dispatched in bulk
)

// Call is one call as it ended.
type Call struct {
	Service, Scope string // the limit scope
	Budget         string // the class of endpoints whose budget it used
	Server         string // host and port, as the URL has them
	Method         string
	Template       string // of the endpoint
	Status         int    // 0 without an answer
	Class          string // of the error, "" for none
	Start          time.Time
	Duration       time.Duration
	Left           int64     // calls left of the quota as the server says; negative if it does not
	Reset          time.Time // when the quota is full again, as the server says; zero if it does not
}

// Job is what the calls of one attempt of a job need.
type Job struct {
	ID      int64
	Spender Spender
	// Reserved takes n calls of those that were reserved when the job was claimed, and returns how many
	// there were. Nil means that none were reserved.
	Reserved func(scope, class string, n int) int
	// Record is called once for each call. Nil records nothing.
	Record func(Call)

	began time.Time
}

// Began returns when this attempt of the job began, by the clock of the machine.
func (j *Job) Began() time.Time { return j.began }

type key struct{}

// With returns a context for the calls of a job, whose attempt begins now.
func With(ctx context.Context, job *Job) context.Context {
	job.began = time.Now()
	return context.WithValue(ctx, key{}, job)
}

// From returns the job of the context, or nil outside of a job.
func From(ctx context.Context) *Job {
	job, _ := ctx.Value(key{}).(*Job)
	return job
}
