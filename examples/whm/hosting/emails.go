package hosting

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/mirror"
)

// WithDisk is the sync detail that lists mailboxes with quotas and disk usage. It is slow, because
// the server measures the disk usage of each mailbox. The default listing is fast and has neither.
const WithDisk = "disk"

const mebibyte = 1 << 20

// emails implements the remote side of the mailboxes repository with UAPI.
type emails struct{ servers Servers }

func emailOf(instance, account string, m whmapi.Mailbox) WhmEmailAccount {
	return WhmEmailAccount{
		Instance: instance, Email: m.Email, Account: account, Quota: &m.QuotaBytes, DiskUsed: &m.UsedBytes,
		SuspendedLogin: m.SuspendedLogin, SuspendedIncoming: m.SuspendedIncoming,
	}
}

// List lists the mailboxes of all accounts. WHM cannot list the mailboxes of a suspended account,
// so the last page marks them as skipped: a sync keeps their rows.
func (r *emails) List(ctx context.Context, scope WhmEmailAccount, detail string) iter.Seq2[mirror.Page[WhmEmailAccount], error] {
	return func(yield func(mirror.Page[WhmEmailAccount], error) bool) {
		var empty mirror.Page[WhmEmailAccount]
		client, err := r.servers.client(scope.Instance)
		if err != nil {
			yield(empty, err)
			return
		}
		accounts, err := client.Accounts(ctx)
		if err != nil {
			yield(empty, err)
			return
		}
		suspended, total := map[string]bool{}, int64(0)
		for _, a := range accounts {
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
					err = fmt.Errorf("list mailboxes of account %s: %w", a.User, err)
				}
				page := pageOf(scope.Instance, a.User, boxes, detail)
				total += int64(len(page.Items))
				if !yield(page, err) || err != nil {
					return
				}
			}
		}
		// whmapi returns an error if the mailboxes of an account differ from the server's count, so
		// total is the sum of the server's counts.
		last := mirror.Page[WhmEmailAccount]{Proof: mirror.Proof{Level: mirror.ProofCounted, Total: total}}
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

// megabytes converts a quota from bytes to megabytes, rounded up: WHM returns quotas in bytes and
// takes them in megabytes. nil is 0, which means unlimited.
func megabytes(quota *int64) int64 {
	if quota == nil {
		return 0
	}
	return int64(math.Ceil(float64(*quota) / mebibyte))
}

// Update calls one UAPI function for each changed field, because UAPI has no function that changes
// several fields at once.
func (r *emails) Update(
	ctx context.Context, current mirror.Object[WhmEmailAccount], want WhmEmailAccount, touched mirror.FieldDiff,
) (mirror.Object[WhmEmailAccount], error) {
	client, err := r.servers.client(want.Instance)
	if err != nil {
		return current, err
	}
	account, email := current.Value.Account, want.Email
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
			return current, nawasync.Permanent(fmt.Errorf("update mailbox %s: UAPI has no function that changes the field %s", email, c.Field))
		}
	}
	return mirror.Object[WhmEmailAccount]{}, runWrites(ctx, steps)
}

func (r *emails) Delete(ctx context.Context, key WhmEmailAccount) error {
	client, err := r.servers.client(key.Instance)
	if err != nil {
		return err
	}
	return client.DeleteMailbox(ctx, key.Account, key.Email)
}
