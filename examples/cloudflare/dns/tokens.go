package dns

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/fault"
)

// Tokens maps the name of each token to the client with it.
type Tokens map[string]*cfapi.Client

func (t Tokens) client(name string) (*cfapi.Client, error) {
	if client := t[name]; client != nil {
		return client, nil
	}
	return nil, fault.WithClass(fault.ClassConfig, fmt.Errorf("no token with the name %q is configured; add it", name))
}

// verify tells a token that was revoked from one that may not see a zone: Cloudflare answers 403 to both.
func (t Tokens) verify(ctx context.Context, name string) error {
	client, err := t.client(name)
	if err != nil {
		return err
	}
	return client.Verify(ctx)
}
