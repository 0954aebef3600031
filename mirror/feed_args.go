package mirror

import (
	"encoding/json"
	"reflect"

	"github.com/nawasara/nawasync"
)

// changesArgs are the arguments of a job that reads a feed.
type changesArgs struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string
	Scope  map[string]json.RawMessage `json:"scope,omitempty"`
}

func (a changesArgs) Kind() nawasync.Kind { return a.kind }

func (a changesArgs) Target() nawasync.Target { return a.target }

// Options gives the feed of a scope a lane of its own. While one job reads the feed, at most one more waits.
func (a changesArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{
		Queue: a.queue, Lane: "changes\x00" + a.kind.Type + "\x00" + a.target.Instance, UniqueKey: a.target.ID, UniqueUntilRunning: true,
	}
}

func (r *repo) changesArgs(scope reflect.Value) (changesArgs, error) {
	if err := r.supports(r.actions.Changes); err != nil {
		return changesArgs{}, err
	}
	r.model.respell(scope)
	fields, err := encodeFields(scope, r.model.scope)
	return changesArgs{
		kind: r.kind(r.actions.Changes), target: nawasync.Target{Instance: r.model.instance(scope), ID: "changes"}, queue: r.syncQueue, Scope: fields,
	}, err
}
