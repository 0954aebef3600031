package mirror_test

import (
	"context"
	"iter"

	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// memory is a fake remote that changes the touched fields only, and counts the use of what
// it makes.
type memory struct {
	*nawasynctest.FakeRemote[gadget]
}

// Update changes the touched fields of what is there by now.
func (m *memory) Update(ctx context.Context, now mirror.Object[gadget], want gadget, touched mirror.Diff) (mirror.Object[gadget], error) {
	changed := want
	if there, found := m.Object(want); found {
		changed = there
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

// look is a gadget of the instance that most tests use.
func (m *memory) look(name string) (gadget, bool) {
	return m.Object(gadget{Instance: "one", Name: name})
}

// beforeCall has fn called before each call but a listing; its error is the answer.
func (m *memory) beforeCall(fn func(call, name string) error) {
	m.Configure(func() { m.Before = func(call nawasynctest.Call, g gadget) error { return fn(string(call), g.Name) } })
}

// afterCall has fn called when a call is done; its error is the answer.
func (m *memory) afterCall(fn func(call, name string) error) {
	m.Configure(func() { m.After = func(call nawasynctest.Call, g gadget) error { return fn(string(call), g.Name) } })
}

// beforePage has fn called before each page of a listing.
func (m *memory) beforePage(fn func(int)) { m.Configure(func() { m.OnPage = fn }) }

// changePages has fn change the pages of each listing; nil changes none.
func (m *memory) changePages(fn func([]mirror.Page[gadget]) []mirror.Page[gadget]) {
	m.Configure(func() { m.Pages = fn })
}

func newMemory() *memory {
	return &memory{&nawasynctest.FakeRemote[gadget]{
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

// plainMemory serves plainGadget from the same objects.
type plainMemory struct{ *memory }

func (m plainMemory) Get(ctx context.Context, key plainGadget) (mirror.Object[plainGadget], error) {
	o, err := m.memory.Get(ctx, rich(key))
	return mirror.Object[plainGadget]{Value: plain(o.Value)}, err
}

func (m plainMemory) Create(ctx context.Context, want plainGadget) (mirror.Object[plainGadget], error) {
	o, err := m.memory.Create(ctx, rich(want))
	return mirror.Object[plainGadget]{Value: plain(o.Value)}, err
}

func (m plainMemory) Update(ctx context.Context, now mirror.Object[plainGadget], want plainGadget, touched mirror.Diff) (mirror.Object[plainGadget], error) {
	o, err := m.memory.Update(ctx, mirror.Object[gadget]{Value: rich(now.Value)}, rich(want), touched)
	return mirror.Object[plainGadget]{Value: plain(o.Value)}, err
}

func (m plainMemory) Delete(ctx context.Context, key plainGadget) error {
	return m.memory.Delete(ctx, rich(key))
}

func (m plainMemory) List(ctx context.Context, scope plainGadget, detail string) iter.Seq2[mirror.Page[plainGadget], error] {
	return func(yield func(mirror.Page[plainGadget], error) bool) {
		for p, err := range m.memory.List(ctx, rich(scope), detail) {
			out := mirror.Page[plainGadget]{Fields: p.Fields, Proof: p.Proof}
			for _, g := range p.Items {
				out.Items = append(out.Items, plain(g))
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func plain(g gadget) plainGadget {
	return plainGadget{Instance: g.Instance, Name: g.Name, QuotaMB: g.QuotaMB, Plan: g.Plan, Used: g.Used}
}

func rich(g plainGadget) gadget {
	return gadget{Instance: g.Instance, Name: g.Name, QuotaMB: g.QuotaMB, Plan: g.Plan, Used: g.Used}
}
