package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
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
	if err := engine.Pause(ctx, service, instance, nawasync.PauseOptions{By: o.by, Reason: o.reason, Until: until}); err != nil {
		return err
	}
	result := map[string]any{"service": service, "instance": instance, "paused": true}
	if !until.IsZero() {
		result["until"] = until
	}
	return c.print(result, func(w io.Writer) { fmt.Fprintf(w, "paused %s; jobs that already run continue\n", names[0]) })
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
		return fmt.Errorf("resume %s: %w: it is neither paused nor parked", names[0], errNotFound)
	}
	return c.print(map[string]any{"service": service, "instance": instance, "paused": false}, func(w io.Writer) { fmt.Fprintf(w, "resumed %s\n", names[0]) })
}
