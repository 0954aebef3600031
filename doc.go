// Package nawasync runs jobs against slow, rate-limited, unreliable external APIs and keeps
// local copies of their objects. Pages read a local snapshot table. Every change is a queued
// job that updates the external API and the snapshot.
//
// A job is a row in the database, inserted in the caller's transaction. The row alone decides
// what happens to the job. Redis only carries wake-ups for the workers: a task holds the row's
// id and epoch and nothing else, so Redis may lose all its data at any time. Every write of an
// attempt is fenced by the epoch, so a job has exactly one outcome. The arguments of a job are
// stored encrypted if Config.Sealer is set.
//
// Declare arguments and a handler, register the handler, and dispatch:
//
//	engine, err := nawasync.New(nawasync.Config{DB: db, Redis: client, Sealer: keyring})
//	err = nawasync.Register(engine, &resetPassword{})
//	err = engine.Start(ctx)
//	job, err := engine.Dispatch(ctx, ResetPassword{Email: "a@example.org"}, nawasync.Options{By: "user:7"})
//
// These terms are used throughout:
//
//   - A lane is the sequence of the jobs on one target. They run one at a time, in order.
//   - An instance is one server or account of a service.
//   - A scope is a service or one instance of it. The engine parks a scope when the remote
//     refuses its requests; an operator may pause it. Until the park or pause ends, the jobs
//     of the scope wait.
//   - The epoch of a job rises each time the job returns to the queue. A process that ran the
//     job in an earlier epoch can no longer write to the row.
//
// Package mirror builds repositories on the engine. Package tracker reads jobs for pages.
// Package admin has the operators' pages. Package fault has the error classes that tell the
// engine how to handle a failure.
//
// In this package, sync.go has the engine. job.go declares a job, dispatch.go inserts it,
// internal/worker and internal/jobstore/claim.go claim it, execute.go runs it, judge.go
// decides its outcome, and operate.go has the operators' actions. docs/architecture.md follows
// a job from the dispatch to its end.
package nawasync

//go:generate go tool -modfile=tools/go.mod templ generate -include-version=false -log-level error -path .
//go:generate go run -C tools ./messages -root ..
//go:generate go run -C tools ./apilist -root ..
