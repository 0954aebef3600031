package dns

import (
	"context"
	"iter"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/remote"
)

// zones is the adapter of the zones. It reads only.
type zones struct{ accounts Accounts }

func zoneOf(account string, z cfapi.Zone) Zone {
	return Zone{
		Account: account, ZoneID: z.ID, Name: z.Name, Status: z.Status, Paused: z.Paused, Plan: z.Plan.Name, Owner: z.Account.Name,
		NameServers: z.NameServers,
	}
}

func (r *zones) List(ctx context.Context, scope Zone, detail string) iter.Seq2[mirror.Page[Zone], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

// ListFrom goes on with the page whose number the cursor is.
func (r *zones) ListFrom(ctx context.Context, scope Zone, _, cursor string) iter.Seq2[mirror.Page[Zone], error] {
	return func(yield func(mirror.Page[Zone], error) bool) {
		client, err := r.accounts.client(scope.Account)
		if err != nil {
			yield(mirror.Page[Zone]{}, err)
			return
		}
		for page, err := range client.Zones(ctx, cursor) {
			if !yield(pageOf(page, func(z cfapi.Zone) Zone { return zoneOf(scope.Account, z) }), err) || err != nil {
				return
			}
		}
	}
}

// pageOf returns a page of Cloudflare as one of the sync. The total is Cloudflare's: an answer without one proves nothing,
// and a total of 0 says that the list was read to its end.
func pageOf[A, T any](page remote.Page[A], convert func(A) T) mirror.Page[T] {
	out := mirror.Page[T]{Cursor: page.Next}
	for _, item := range page.Items {
		out.Items = append(out.Items, convert(item))
	}
	switch {
	case page.Total == nil:
	case *page.Total == 0:
		out.Proof.Level = mirror.ProofExhausted
	default:
		out.Proof = mirror.Proof{Level: mirror.ProofCounted, Total: *page.Total}
	}
	return out
}

func (r *zones) Get(ctx context.Context, key Zone) (o mirror.Object[Zone], err error) {
	client, err := r.accounts.client(key.Account)
	if err != nil {
		return o, err
	}
	z, err := client.Zone(ctx, key.ZoneID)
	o.Value = zoneOf(key.Account, z)
	return o, err
}

// CheckCredentials implements mirror.CredentialRemote.
func (r *zones) CheckCredentials(ctx context.Context, scope Zone) error {
	return r.accounts.verify(ctx, scope.Account)
}

// ScopeExists implements mirror.ScopeRemote: an account exists as long as its token is valid.
func (r *zones) ScopeExists(ctx context.Context, scope Zone) (bool, error) {
	err := r.accounts.verify(ctx, scope.Account)
	return err == nil, err
}
