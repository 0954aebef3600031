package nawasynctest

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// RequireDispatched returns the newest job that was dispatched with the given arguments. If there
// is none, it fails the test and lists the jobs of the same target. It compares secrets in their
// masked form, so any two secrets are equal. It searches the newest 100 jobs of the target
// that are not deleted.
func RequireDispatched(t testing.TB, e *nawasync.Engine, args nawasync.Args) *tracker.Job {
	t.Helper()
	kind, target := args.Kind(), args.Target()
	found, err := e.Reader().Search(t.Context(), tracker.Search{
		Targets: []tracker.Target{{Service: kind.Service, Type: kind.Type, Instance: target.Instance, ID: target.ID}}, Limit: 100,
	})
	requireNoError(t, err)
	want, err := e.Internals(host.NewKey()).Payload(args)
	requireNoError(t, err)
	var others []string
	for _, found := range found.Jobs {
		job, err := e.Reader().Get(t.Context(), found.ID) // Search leaves out the payload
		requireNoError(t, err)
		same, err := secret.SameJSON(job.Payload, want)
		if err == nil && same && job.Action == kind.Action {
			return job
		}
		others = append(others, job.Action+" "+string(job.Payload))
	}
	t.Fatalf("no %s job of target %q, instance %q, was dispatched with %s; jobs of the target: %q", kind, target.ID, target.Instance, want, others)
	return nil
}

func optionsOf(args nawasync.Args) nawasync.JobOptions {
	if a, ok := args.(nawasync.ArgsWithOptions); ok {
		return a.Options()
	}
	return nawasync.JobOptions{}
}
