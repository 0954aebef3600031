package main

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// thing is a row of the table that mirrors the objects of the remote.
type thing struct {
	ID    uint64
	Name  string `sync:"key"`
	Value string
	nawasync.SyncStatus
}

// newThings returns the repository. Only workers have a remote.
func newThings(e *nawasync.Engine, remote mirror.Remote[thing]) (nawasync.SyncedRepository[thing], error) {
	return mirror.New(e, mirror.Config[thing]{
		Service: "mirror", Type: "thing", Remote: remote, SyncQueue: syncQueue, Timeout: 30 * time.Second, SyncTimeout: time.Minute, Settle: -1, // the remote shows each write at once
		Limit: func(rows int64) int64 { return rows }, // no sync is held: the command has no operator
	})
}

// thingRemote is the adapter of the simulated remote. It reports each change that it makes.
type thingRemote struct {
	client *client
	worker string
}

func (r thingRemote) List(ctx context.Context, _ thing, _ string) iter.Seq2[mirror.Page[thing], error] {
	return func(yield func(mirror.Page[thing], error) bool) {
		list, err := r.client.list(ctx)
		if err != nil {
			yield(mirror.Page[thing]{}, err)
			return
		}
		page := mirror.Page[thing]{Proof: mirror.Proof{Level: mirror.ProofWhole, Total: int64(len(list))}}
		for _, body := range list {
			page.Items = append(page.Items, thing{Name: body.Name, Value: body.Value})
		}
		yield(page, nil)
	}
}

func (r thingRemote) Get(ctx context.Context, key thing) (mirror.Object[thing], error) {
	return r.object(ctx, http.MethodGet, key.Name, nil)
}

func (r thingRemote) Create(ctx context.Context, want thing) (o mirror.Object[thing], err error) {
	return o, r.during(ctx, want.Name, func() error {
		o, err = r.object(ctx, http.MethodPost, "", &thingBody{Name: want.Name, Value: want.Value})
		return err
	})
}

func (r thingRemote) Update(ctx context.Context, _ mirror.Object[thing], want thing, _ mirror.FieldDiff) (o mirror.Object[thing], err error) {
	return o, r.during(ctx, want.Name, func() error {
		o, err = r.object(ctx, http.MethodPut, want.Name, &thingBody{Value: want.Value})
		return err
	})
}

func (r thingRemote) Delete(ctx context.Context, key thing) error {
	return r.during(ctx, key.Name, func() error {
		_, err := r.client.thing(ctx, http.MethodDelete, key.Name, nil)
		return err
	})
}

func (r thingRemote) object(ctx context.Context, method, name string, in *thingBody) (mirror.Object[thing], error) {
	body, err := r.client.thing(ctx, method, name, in)
	return mirror.Object[thing]{Value: thing{Name: body.Name, Value: body.Value}}, err
}
