package mirror_test

import (
	"context"
	"iter"

	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// gadgetRemote is a fake remote of gadgets. Its Update changes only the touched fields. It sets
// Used to 1 in each object that it creates.
type gadgetRemote struct {
	*nawasynctest.FakeRemote[gadget]
}

// Update changes the touched fields of the current object.
func (m *gadgetRemote) Update(ctx context.Context, now mirror.Object[gadget], want gadget, touched mirror.FieldDiff) (mirror.Object[gadget], error) {
	changed := want
	if current, found := m.Object(want); found {
		changed = current
	}
	if touched.Has("quota_mb") {
		changed.QuotaMB = want.QuotaMB
	}
	if touched.Has("plan") {
		changed.Plan = want.Plan
	}
	if touched.Has("tags") {
		changed.Tags = want.Tags
	}
	if touched.Has("password") {
		changed.Password = want.Password
	}
	return m.FakeRemote.Update(ctx, now, changed, touched)
}

// find returns the object with the given name in the instance "one".
func (m *gadgetRemote) find(name string) (gadget, bool) {
	return m.Object(gadget{Instance: "one", Name: name})
}

// beforeCall makes the remote run fn before each call except List. If fn returns an error, the call
// returns that error and does nothing.
func (m *gadgetRemote) beforeCall(fn func(call, name string) error) {
	m.Configure(func() { m.Before = func(call nawasynctest.Call, g gadget) error { return fn(string(call), g.Name) } })
}

// afterCall makes the remote run fn after each successful call except List. If fn returns an error,
// the call returns that error even though it has taken effect.
func (m *gadgetRemote) afterCall(fn func(call, name string) error) {
	m.Configure(func() { m.After = func(call nawasynctest.Call, g gadget) error { return fn(string(call), g.Name) } })
}

// beforePage makes the remote run fn before each page of a listing.
func (m *gadgetRemote) beforePage(fn func(int)) { m.Configure(func() { m.OnPage = fn }) }

// changePages makes fn replace the pages of each listing. A nil fn leaves them as they are.
func (m *gadgetRemote) changePages(fn func([]mirror.Page[gadget]) []mirror.Page[gadget]) {
	m.Configure(func() { m.Pages = fn })
}

func newGadgetRemote() *gadgetRemote {
	return &gadgetRemote{&nawasynctest.FakeRemote[gadget]{
		Key:     func(g gadget) string { return g.Instance + "/" + g.Name },
		InScope: func(g, scope gadget) bool { return g.Instance == scope.Instance },
		Store: func(g gadget, created bool) gadget {
			if created {
				g.Used = 1
			}
			return g
		},
		Detail: func(detail string, g gadget) (gadget, []string) {
			if detail == "light" {
				return gadget{Instance: g.Instance, Name: g.Name, Plan: g.Plan}, []string{"plan"}
			}
			return g, nil
		},
	}}
}

// plainGadgetRemote serves the objects of a gadgetRemote as plainGadgets.
type plainGadgetRemote struct{ *gadgetRemote }

func (m plainGadgetRemote) Get(ctx context.Context, key plainGadget) (mirror.Object[plainGadget], error) {
	o, err := m.gadgetRemote.Get(ctx, toGadget(key))
	return mirror.Object[plainGadget]{Value: toPlainGadget(o.Value)}, err
}

func (m plainGadgetRemote) Create(ctx context.Context, want plainGadget) (mirror.Object[plainGadget], error) {
	o, err := m.gadgetRemote.Create(ctx, toGadget(want))
	return mirror.Object[plainGadget]{Value: toPlainGadget(o.Value)}, err
}

func (m plainGadgetRemote) Update(ctx context.Context, now mirror.Object[plainGadget], want plainGadget, d mirror.FieldDiff) (
	mirror.Object[plainGadget], error,
) {
	o, err := m.gadgetRemote.Update(ctx, mirror.Object[gadget]{Value: toGadget(now.Value)}, toGadget(want), d)
	return mirror.Object[plainGadget]{Value: toPlainGadget(o.Value)}, err
}

func (m plainGadgetRemote) Delete(ctx context.Context, key plainGadget) error {
	return m.gadgetRemote.Delete(ctx, toGadget(key))
}

func (m plainGadgetRemote) List(ctx context.Context, scope plainGadget, detail string) iter.Seq2[mirror.Page[plainGadget], error] {
	return func(yield func(mirror.Page[plainGadget], error) bool) {
		for p, err := range m.gadgetRemote.List(ctx, toGadget(scope), detail) {
			out := mirror.Page[plainGadget]{Fields: p.Fields, Proof: p.Proof}
			for _, g := range p.Items {
				out.Items = append(out.Items, toPlainGadget(g))
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func toPlainGadget(g gadget) plainGadget {
	return plainGadget{Instance: g.Instance, Name: g.Name, QuotaMB: g.QuotaMB, Plan: g.Plan, Used: g.Used}
}

func toGadget(g plainGadget) gadget {
	return gadget{Instance: g.Instance, Name: g.Name, QuotaMB: g.QuotaMB, Plan: g.Plan, Used: g.Used}
}
