package hosting

import (
	"context"
	"fmt"
	"iter"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/mirror"
)

// accounts implements the remote side of the accounts repository with WHM API 1.
type accounts struct{ servers Servers }

func accountOf(instance string, a whmapi.Account) WhmAccount {
	return WhmAccount{
		Instance: instance, Username: a.User, Domain: a.Domain, Contact: a.Email, Plan: a.Plan, Suspended: a.Suspended, SuspendReason: a.SuspendReason,
		DiskLimit: a.DiskLimit, DiskUsed: a.DiskUsed, IP: a.IP, Owner: a.Owner,
	}
}

// List yields one page. A successful listaccts returns all accounts, so the page proves that the
// listing is complete.
func (r *accounts) List(ctx context.Context, scope WhmAccount, _ string) iter.Seq2[mirror.Page[WhmAccount], error] {
	return func(yield func(mirror.Page[WhmAccount], error) bool) {
		var page mirror.Page[WhmAccount]
		client, err := r.servers.client(scope.Instance)
		if err != nil {
			yield(page, err)
			return
		}
		list, err := client.Accounts(ctx)
		for _, a := range list {
			page.Items = append(page.Items, accountOf(scope.Instance, a))
		}
		page.Proof.Level = mirror.ProofWhole
		yield(page, err)
	}
}

func (r *accounts) Get(ctx context.Context, key WhmAccount) (o mirror.Object[WhmAccount], err error) {
	client, err := r.servers.client(key.Instance)
	if err != nil {
		return o, err
	}
	a, err := client.Account(ctx, key.Username)
	o.Value = accountOf(key.Instance, a)
	return o, err
}

func (r *accounts) Create(ctx context.Context, want WhmAccount) (o mirror.Object[WhmAccount], err error) {
	client, err := r.servers.client(want.Instance)
	if err != nil {
		return o, err
	}
	if err := client.CreateAccount(ctx, whmapi.Account{User: want.Username, Domain: want.Domain, Email: want.Contact, Plan: want.Plan},
		want.Password); err != nil {
		return o, err
	}
	return r.Get(ctx, want)
}

// Update calls one WHM function for each changed field, because WHM has no function that changes
// several fields at once.
func (r *accounts) Update(ctx context.Context, current mirror.Object[WhmAccount], want WhmAccount, changes mirror.FieldDiff) (
	mirror.Object[WhmAccount], error,
) {
	client, err := r.servers.client(want.Instance)
	if err != nil {
		return current, err
	}
	var steps []func() error
	for _, c := range changes {
		switch c.Field {
		case "plan":
			steps = append(steps, func() error { return client.ChangePackage(ctx, want.Username, want.Plan) })
		case "password":
			steps = append(steps, func() error { return client.SetAccountPassword(ctx, want.Username, want.Password) })
		case "suspended", "suspend_reason": // one call below sets both fields
		default:
			return current, nawasync.Permanent(fmt.Errorf("update account %s: WHM has no function that changes the field %s", want.Username, c.Field))
		}
	}
	switch {
	case (changes.Has("suspended") || changes.Has("suspend_reason")) && want.Suspended:
		steps = append(steps, func() error { return client.SuspendAccount(ctx, want.Username, want.SuspendReason) })
	case changes.Has("suspended"):
		steps = append(steps, func() error { return client.UnsuspendAccount(ctx, want.Username) })
	}
	return mirror.Object[WhmAccount]{}, runWrites(ctx, steps)
}

func (r *accounts) Delete(ctx context.Context, key WhmAccount) error {
	client, err := r.servers.client(key.Instance)
	if err != nil {
		return err
	}
	return client.RemoveAccount(ctx, key.Username)
}

// runWrites runs the steps in order. Before each step, it checks that the job still has its lease.
// It stops at the first error; the next attempt reads the object and writes the remaining fields.
func runWrites(ctx context.Context, steps []func() error) error {
	for _, step := range steps {
		if err := mirror.BeginWrite(ctx); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
