package hosting

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/mirror"
)

// WithDisk is the listing of mailboxes that has quotas and disk usage. It makes the
// server look through its disks; the one without is light.
const WithDisk = "disk"

const mebibyte = 1 << 20

// emails is WHM's mailboxes as a repository sees them.
type emails struct{ servers Servers }

func emailOf(instance, account string, m whmapi.Mailbox) WhmEmailAccount {
	return WhmEmailAccount{
		Instance: instance, Email: m.Email, Account: account, Quota: &m.QuotaBytes, DiskUsed: &m.UsedBytes,
		SuspendedLogin: m.SuspendedLogin, SuspendedIncoming: m.SuspendedIncoming,
	}
}

// List lists the mailboxes of all accounts. Those of a suspended account cannot be
// listed, so that their rows stay.
func (r *emails) List(ctx context.Context, scope WhmEmailAccount, detail string) iter.Seq2[mirror.Page[WhmEmailAccount], error] {
	return func(yield func(mirror.Page[WhmEmailAccount], error) bool) {
		var none mirror.Page[WhmEmailAccount]
		client, err := r.servers.client(scope.Instance)
		if err != nil {
			yield(none, err)
			return
		}
		list, err := client.Accounts(ctx)
		if err != nil {
			yield(none, err)
			return
		}
		suspended, total := map[string]bool{}, int64(0)
		for _, a := range list {
			if a.Suspended {
				suspended[a.User] = true
				continue
			}
			pages := client.MailboxNames(ctx, a.User)
			if detail == WithDisk {
				pages = client.Mailboxes(ctx, a.User)
			}
			for boxes, err := range pages {
				if err != nil {
					err = fmt.Errorf("account %s: %w", a.User, err)
				}
				page := pageOf(scope.Instance, a.User, boxes, detail)
				total += int64(len(page.Items))
				if !yield(page, err) || err != nil {
					return
				}
			}
		}
		// Each account's mailboxes were as many as it counts: see whmapi.
		last := mirror.Page[WhmEmailAccount]{Proof: mirror.Proof{Level: mirror.ProofComplete, Total: total}}
		if len(suspended) > 0 {
			last.Skipped = func(row WhmEmailAccount) bool { return suspended[row.Account] }
		}
		yield(last, nil)
	}
}

func pageOf(instance, account string, boxes []whmapi.Mailbox, detail string) (page mirror.Page[WhmEmailAccount]) {
	for _, box := range boxes {
		page.Items = append(page.Items, emailOf(instance, account, box))
	}
	if detail != WithDisk {
		page.Fields = []string{"account", "suspended_login", "suspended_incoming"}
	}
	return page
}

func (r *emails) Get(ctx context.Context, key WhmEmailAccount) (o mirror.Object[WhmEmailAccount], err error) {
	client, err := r.servers.client(key.Instance)
	if err != nil {
		return o, err
	}
	box, err := client.Mailbox(ctx, key.Account, key.Email)
	o.Value = emailOf(key.Instance, key.Account, box)
	return o, err
}

func (r *emails) Create(ctx context.Context, want WhmEmailAccount) (o mirror.Object[WhmEmailAccount], err error) {
	client, err := r.servers.client(want.Instance)
	if err != nil {
		return o, err
	}
	if err := client.AddMailbox(ctx, want.Account, want.Email, want.Password, megabytes(want.Quota)); err != nil {
		return o, err
	}
	return r.Get(ctx, want)
}

// megabytes is what WHM takes, where it gives bytes.
func megabytes(quota *int64) int64 {
	if quota == nil {
		return 0
	}
	return int64(math.Ceil(float64(*quota) / mebibyte))
}

// Update calls the function for each of the fields; UAPI has none for all.
func (r *emails) Update(ctx context.Context, now mirror.Object[WhmEmailAccount], want WhmEmailAccount, touched mirror.Diff) (mirror.Object[WhmEmailAccount],
	error,
) {
	client, err := r.servers.client(want.Instance)
	if err != nil {
		return now, err
	}
	account, email := now.Value.Account, want.Email
	var steps []func() error
	for _, c := range touched {
		switch c.Field {
		case "quota":
			steps = append(steps, func() error { return client.SetQuota(ctx, account, email, megabytes(want.Quota)) })
		case "suspended_login":
			steps = append(steps, func() error { return client.SetLogin(ctx, account, email, want.SuspendedLogin) })
		case "suspended_incoming":
			steps = append(steps, func() error { return client.SetIncoming(ctx, account, email, want.SuspendedIncoming) })
		case "password":
			steps = append(steps, func() error { return client.SetPassword(ctx, account, email, want.Password) })
		default:
			return now, nawasync.Permanent(errors.New("UAPI has no function that changes a mailbox's " + c.Field))
		}
	}
	return mirror.Object[WhmEmailAccount]{}, sortedByName(ctx, steps)
}

func (r *emails) Delete(ctx context.Context, key WhmEmailAccount) error {
	client, err := r.servers.client(key.Instance)
	if err != nil {
		return err
	}
	return client.DeleteMailbox(ctx, key.Account, key.Email)
}
