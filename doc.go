// Package nawasync is the foundation of the database cache and queue pattern, for
// products that sit on slow, rate-limited, unreliable external APIs. Pages read a local
// snapshot table, and every change is a queued job that updates the external API and the
// snapshot.
//
// A job is a row in the database, inserted in the caller's transaction. The row is the
// truth and asynq is the doorbell: a task in Redis carries the row's id and epoch and
// nothing else, and Redis may lose all its data at any time. Every write of an attempt is fenced, so
// that a job has one outcome, and its arguments are stored encrypted.
//
// Declare arguments and a handler, register it, dispatch:
//
//	engine, err := nawasync.New(nawasync.Config{DB: db, Redis: client, Sealer: keyring})
//	err = nawasync.Register(engine, &resetPassword{})
//	err = engine.Start(ctx)
//	job, err := engine.Dispatch(ctx, ResetPassword{Email: "a@example.org"}, nawasync.Options{By: "user:7"})
//
// Some words mean one thing throughout. A lane is the queue of one target: its jobs run
// one at a time, in order. An instance is one server or account of a service. A scope is a
// service or one instance of it: it is parked when the remote refuses it, and paused by
// operators, and its jobs wait until then. The epoch of a job rises with each return to the
// queue, and fences off who held it before.
//
// Package mirror makes repositories on top of it, package tracker is what pages read,
// package admin are the operators' pages, and package fault has the classes by which a
// client says what kind of failure an error is.
//
// In this package the engine is in sync.go. A job is declared in job.go, inserted in
// dispatch.go, claimed by internal/worker and internal/jobstore/claim.go, run in execute.go
// and judged in judge.go; what operators do to jobs is in operate.go. docs/architecture.md
// follows a job from the dispatch to its end.
package nawasync

//go:generate go tool -modfile=tools/go.mod templ generate -include-version=false -log-level error -path .
//go:generate go run -C tools ./apilist -root ..
