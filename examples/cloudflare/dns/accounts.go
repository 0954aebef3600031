package dns

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/fault"
)

// Accounts maps the name of each account to the client with its token.
type Accounts map[string]*cfapi.Client

func (a Accounts) client(name string) (*cfapi.Client, error) {
	if client := a[name]; client != nil {
		return client, nil
	}
	return nil, fault.WithClass(fault.ClassConfig, fmt.Errorf("no account with the name %q is configured; add its token", name))
}

// verify tells a token that was revoked from one that may not see a zone: Cloudflare answers 403 to both.
func (a Accounts) verify(ctx context.Context, name string) error {
	client, err := a.client(name)
	if err != nil {
		return err
	}
	return client.Verify(ctx)
}
