package dns

import (
	"context"
	"iter"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/mirror"
)

// accounts is the adapter of the accounts that a token may see. It reads only.
type accounts struct{ tokens Tokens }

func accountOf(token string, a cfapi.Account) Account {
	return Account{Token: token, AccountID: a.ID, Name: a.Name, Kind: a.Type, CreatedOn: a.CreatedOn}
}

func (r *accounts) List(ctx context.Context, scope Account, detail string) iter.Seq2[mirror.Page[Account], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

// ListFrom goes on with the page whose number the cursor is.
func (r *accounts) ListFrom(ctx context.Context, scope Account, _, cursor string) iter.Seq2[mirror.Page[Account], error] {
	return func(yield func(mirror.Page[Account], error) bool) {
		client, err := r.tokens.client(scope.Token)
		if err != nil {
			yield(mirror.Page[Account]{}, err)
			return
		}
		for page, err := range client.Accounts(ctx, cursor) {
			if !yield(pageOf(page, func(a cfapi.Account) Account { return accountOf(scope.Token, a) }), err) || err != nil {
				return
			}
		}
	}
}

func (r *accounts) Get(ctx context.Context, key Account) (o mirror.Object[Account], err error) {
	client, err := r.tokens.client(key.Token)
	if err != nil {
		return o, err
	}
	a, err := client.Account(ctx, key.AccountID)
	o.Value = accountOf(key.Token, a)
	return o, err
}

// CheckCredentials implements mirror.CredentialRemote.
func (r *accounts) CheckCredentials(ctx context.Context, scope Account) error {
	return r.tokens.verify(ctx, scope.Token)
}

// ScopeExists implements mirror.ScopeRemote: a token exists as long as it is valid.
func (r *accounts) ScopeExists(ctx context.Context, scope Account) (bool, error) {
	err := r.tokens.verify(ctx, scope.Token)
	return err == nil, err
}
