package dns

import (
	"context"
	"fmt"
	"iter"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// zones is the adapter of the zones. It reads only.
type zones struct{ tokens Tokens }

func zoneOf(scope Zone, z cfapi.Zone) Zone {
	return Zone{
		Token: scope.Token, Account: scope.Account, ZoneID: z.ID, Name: z.Name, Status: z.Status, Paused: z.Paused, Plan: z.Plan.Name, NameServers: z.NameServers,
	}
}

func (r *zones) List(ctx context.Context, scope Zone, detail string) iter.Seq2[mirror.Page[Zone], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

// ListFrom goes on with the page whose number the cursor is. Cloudflare lists no zones for an account that does not
// exist, as for one without zones: an empty listing counts only if the account itself can be read.
func (r *zones) ListFrom(ctx context.Context, scope Zone, _, cursor string) iter.Seq2[mirror.Page[Zone], error] {
	return func(yield func(mirror.Page[Zone], error) bool) {
		client, err := r.tokens.client(scope.Token)
		if err != nil {
			yield(mirror.Page[Zone]{}, err)
			return
		}
		for page, err := range client.Zones(ctx, scope.Account, cursor) {
			if err == nil && len(page.Items) == 0 {
				_, err = client.Account(ctx, scope.Account)
			}
			if !yield(pageOf(page, func(z cfapi.Zone) Zone { return zoneOf(scope, z) }), err) || err != nil {
				return
			}
		}
	}
}

func (r *zones) Get(ctx context.Context, key Zone) (o mirror.Object[Zone], err error) {
	client, err := r.tokens.client(key.Token)
	if err != nil {
		return o, err
	}
	z, err := client.Zone(ctx, key.ZoneID)
	if err == nil && z.Account.ID != key.Account {
		return o, fault.WithClass(fault.ClassGone, fmt.Errorf("the zone %s is in another account now", z.Name))
	}
	o.Value = zoneOf(key, z)
	return o, err
}

// CheckCredentials implements mirror.CredentialRemote.
func (r *zones) CheckCredentials(ctx context.Context, scope Zone) error {
	return r.tokens.verify(ctx, scope.Token)
}

// ScopeExists implements mirror.ScopeRemote: it asks for the account itself, not for its zones.
func (r *zones) ScopeExists(ctx context.Context, scope Zone) (bool, error) {
	client, err := r.tokens.client(scope.Token)
	if err != nil {
		return false, err
	}
	if _, err = client.Account(ctx, scope.Account); fault.ClassOf(err) == fault.ClassGone {
		return false, nil
	}
	return err == nil, err
}
