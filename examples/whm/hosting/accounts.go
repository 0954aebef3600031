package hosting

import (
	"context"
	"errors"
	"iter"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/mirror"
)

// accounts is WHM's accounts as a repository sees them.
type accounts struct{ servers Servers }

func accountOf(instance string, a whmapi.Account) WhmAccount {
	return WhmAccount{
		Instance: instance, Username: a.User, Domain: a.Domain, Contact: a.Email, Plan: a.Plan, Suspended: a.Suspended, SuspendReason: a.SuspendReason,
		DiskLimit: a.DiskLimit, DiskUsed: a.DiskUsed, IP: a.IP, Owner: a.Owner,
	}
}

// List is one call: listaccts answers with all accounts, or with an error.
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
		page.Proof.Level = mirror.ProofComplete
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

// Update calls the function for each of the fields; WHM has none for all.
func (r *accounts) Update(ctx context.Context, now mirror.Object[WhmAccount], want WhmAccount, touched mirror.Diff) (mirror.Object[WhmAccount], error) {
	client, err := r.servers.client(want.Instance)
	if err != nil {
		return now, err
	}
	var steps []func() error
	for _, c := range touched {
		switch c.Field {
		case "plan":
			steps = append(steps, func() error { return client.ChangePackage(ctx, want.Username, want.Plan) })
		case "password":
			steps = append(steps, func() error { return client.SetAccountPassword(ctx, want.Username, want.Password) })
		case "suspended", "suspend_reason":
		default:
			return now, nawasync.Permanent(errors.New("WHM has no function that changes an account's " + c.Field))
		}
	}
	switch {
	case (touched.Has("suspended") || touched.Has("suspend_reason")) && want.Suspended:
		steps = append(steps, func() error { return client.SuspendAccount(ctx, want.Username, want.SuspendReason) })
	case touched.Has("suspended"):
		steps = append(steps, func() error { return client.UnsuspendAccount(ctx, want.Username) })
	}
	return mirror.Object[WhmAccount]{}, sortedByName(ctx, steps)
}

func (r *accounts) Delete(ctx context.Context, key WhmAccount) error {
	client, err := r.servers.client(key.Instance)
	if err != nil {
		return err
	}
	return client.RemoveAccount(ctx, key.Username)
}

// sortedByName runs writes one after the other; before each the job must still be ours.
// The first that fails ends it: the next attempt reads what has been done.
func sortedByName(ctx context.Context, steps []func() error) error {
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
