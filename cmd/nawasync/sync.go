package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// repeated are the arguments of a sync that was dispatched before. This command has no repository of the service: it does not
// know its structs, and dispatches what a process that knows them has dispatched.
type repeated struct {
	json.RawMessage

	kind   nawasync.Kind
	target nawasync.Target
	queue  string
	max    int
	plan   bool
}

// The targets of syncs and plans without a detail, as package mirror names them.
const (
	syncTarget = "all"
	planTarget = "all rows"
)

// Kind implements nawasync.Args.
func (a repeated) Kind() nawasync.Kind { return a.kind }

// Target implements nawasync.Args.
func (a repeated) Target() nawasync.Target { return a.target }

// Options implements nawasync.ArgsWithOptions with the options of a repository's syncs: one runs at a time, and one more may wait.
func (a repeated) Options() nawasync.JobOptions {
	return nawasync.JobOptions{
		Queue: a.queue, MaxAttempts: a.max, Lane: "sync\x00" + a.kind.Type + "\x00" + a.target.Instance,
		UniqueKey: a.target.ID + "/0", UniqueUntilRunning: !a.plan,
	}
}

// runSync is nawasync sync now and sync plan.
func runSync(ctx context.Context, c *call) error {
	o := c.connect().operate(c)
	instance := c.flags.String("instance", "", "the `scope` as jobs name it, for example main/example.org.; empty means that of a service without scopes, or all scopes")
	names, err := c.parse(1, 1)
	if err != nil {
		return err
	}
	service, typ, found := strings.Cut(names[0], "/")
	if !found || service == "" || typ == "" {
		return usagef("%s %.60q: use SERVICE/TYPE, for example powerdns/zone", c.command, names[0])
	}
	engine, closeAll, err := o.engine(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	last, err := lastSync(ctx, engine.Reader(), service, typ, *instance)
	if err != nil {
		return err
	}
	payload, err := withoutRelease(last.Payload)
	if err != nil {
		return err
	}
	args := repeated{
		RawMessage: payload, kind: nawasync.Kind{Service: service, Type: typ, Action: last.Action}, target: nawasync.Target{Instance: *instance, ID: syncTarget},
		queue: last.Queue, max: last.MaxAttempts,
	}
	if c.command == "sync plan" {
		args.kind.Action, args.target.ID, args.plan = tracker.PlanAction, planTarget, true
	}
	job, err := engine.Dispatch(ctx, args, nawasync.Options{By: o.by, Source: nawasync.SourceAPI})
	if err != nil {
		return err
	}
	return c.print(map[string]any{"job": job}, func(w io.Writer) {
		if job.Coalesced {
			fmt.Fprintf(w, "job %d is open already\n", job.ID)
			return
		}
		fmt.Fprintf(w, "dispatched job %d; nawasync jobs show %[1]d says what became of it\n", job.ID)
	})
}

// lastSync returns the newest sync of a scope.
func lastSync(ctx context.Context, reader *tracker.Reader, service, typ, instance string) (*tracker.Job, error) {
	page, err := reader.Search(ctx, tracker.Search{
		Services: []string{service}, Limit: 1,
		Targets: []tracker.Target{{Service: service, Type: typ, Instance: instance, ID: syncTarget}},
		Terms: []tracker.Term{{
			Field: tracker.FieldAction, Values: []string{tracker.ConfirmAction, tracker.FollowAction, tracker.RetireAction}, Not: true, // they have the same target
		}},
	})
	if err != nil {
		return nil, err
	}
	if len(page.Jobs) == 0 {
		return nil, fmt.Errorf("sync of %s/%s with -instance %q: %w: no sync of it is stored%s. The first one must come from its schedule, from the operators' pages or from the program",
			service, typ, instance, errNotFound, otherScopes(ctx, reader, service, typ))
	}
	return reader.Get(ctx, page.Jobs[0].ID) // with its arguments
}

// otherScopes says which instances, or else which types, have had jobs.
func otherScopes(ctx context.Context, reader *tracker.Reader, service, typ string) string {
	list, err := reader.TargetScopes(ctx)
	if err != nil {
		return ""
	}
	var instances, types []string
	for _, s := range list {
		types = append(types, s.Service+"/"+s.Type)
		if s.Service == service && s.Type == typ {
			instances = append(instances, fmt.Sprintf("%q", s.Instance))
		}
	}
	if len(instances) > 0 {
		return "; there were jobs of " + listed(instances)
	}
	if len(types) > 0 {
		return "; there were jobs of " + listed(types)
	}
	return ""
}

// maxNames is how many names an error lists.
const maxNames = 10

// listed returns names as a text.
func listed(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxNames {
		names = append(names[:maxNames:maxNames], fmt.Sprintf("and %d others", len(names)-maxNames))
	}
	return strings.Join(names, ", ")
}

// withoutRelease returns the arguments of a sync as one that releases no held sync: what an operator has allowed once is not
// allowed again.
func withoutRelease(payload json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &fields); err != nil {
			return nil, fmt.Errorf("read the arguments of the last sync: %w", err)
		}
	}
	delete(fields, "release")
	return json.Marshal(fields)
}
