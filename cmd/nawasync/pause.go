package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// scopeOf returns the service and the instance of an argument.
func scopeOf(argument string) (service, instance string) {
	service, instance, _ = strings.Cut(argument, "/")
	return service, instance
}

// runPause is nawasync pause.
func runPause(ctx context.Context, c *call) error {
	o := c.connect().operate(c)
	limit := c.flags.Duration("for", 0, "the `time` after which the pause ends by itself, for example 30m; 0 means that only resume ends it")
	names, err := c.parse(1, 1)
	if err != nil {
		return err
	}
	if *limit < 0 {
		return usagef("-for %s: use a time that is not negative", *limit)
	}
	engine, closeAll, err := o.engine(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	service, instance := scopeOf(names[0])
	var until time.Time
	if *limit > 0 {
		until = engine.Reader().Now().Add(*limit)
	}
	known, err := isKnown(ctx, engine.Reader(), service, instance)
	if err != nil {
		return err
	}
	if err := engine.Pause(ctx, service, instance, nawasync.PauseOptions{By: o.by, Reason: o.reason, Until: until}); err != nil {
		return err
	}
	result := map[string]any{"service": service, "instance": instance, "paused": true, "known": known}
	if !until.IsZero() {
		result["until"] = until
	}
	return c.print(result, func(w io.Writer) {
		end := "until nawasync resume " + names[0]
		if !until.IsZero() {
			end = "until " + at(until)
		}
		fmt.Fprintf(w, "paused %s %s; jobs that already run continue\n", names[0], end)
		if !known {
			fmt.Fprintf(w, "note: there has been no job of %s; check how it is written, and end this pause if it is wrong\n", names[0])
		}
	})
}

// isKnown reports whether the scope has had jobs, has a schedule or is in a listing. A pause of another one may be meant for a
// scope that comes, or be a mistake.
func isKnown(ctx context.Context, reader *tracker.Reader, service, instance string) (bool, error) {
	list, err := reader.ServiceInstances(ctx)
	scope := tracker.Scope{Service: service, Instance: instance}
	return slices.ContainsFunc(list, func(s tracker.ServiceInstance) bool { return scope.Covers(s.Service, s.Instance) }), err
}

// runResume is nawasync resume.
func runResume(ctx context.Context, c *call) error {
	o := c.connect().operate(c)
	names, err := c.parse(1, 1)
	if err != nil {
		return err
	}
	engine, closeAll, err := o.engine(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	service, instance := scopeOf(names[0])
	found, err := engine.Resume(ctx, service, instance, nawasync.OperatorOptions{By: o.by, Reason: o.reason})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("resume %s: %w: it is neither paused nor parked; %s", names[0], errNotFound, pausedScopes(ctx, engine.Reader()))
	}
	return c.print(map[string]any{"service": service, "instance": instance, "paused": false}, func(w io.Writer) { fmt.Fprintf(w, "resumed %s\n", names[0]) })
}

// pausedScopes says which scopes are paused or parked.
func pausedScopes(ctx context.Context, reader *tracker.Reader) string {
	list, err := reader.Scopes(ctx)
	if err != nil || len(list) == 0 {
		return "nothing is"
	}
	var names []string
	for _, s := range list {
		names = append(names, strings.TrimSuffix(s.Service+"/"+s.Instance, "/"))
	}
	return "these are: " + listed(names)
}
