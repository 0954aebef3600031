package cfapi_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// All creations of a zone have one path. A record that Cloudflare cannot create says nothing about the others; three of
// them do.
func TestStatus500OfOneRecordOpensNoBreakerAndThatOfThreeDoes(t *testing.T) {
	t.Parallel()
	for records, want := range map[int]fault.Class{1: fault.ClassUnknownOutcome, 3: fault.ClassUnavailable} {
		server := sim.New(sim.Options{Records: 4})
		service, err := cfapi.NewRemote(remote.Config{Base: server.Transport()})
		noError(t, err)
		client, err := cfapi.New(cfapi.Config{URL: "http://localhost/client/v4", Token: secret.New("secret-token"), Remote: service})
		noError(t, err)
		noError(t, server.Inject(sim.Fault{Operation: sim.OpCreate, Mode: sim.ModeError, Status: http.StatusInternalServerError}))
		create := func(ctx context.Context, n int) error {
			_, err := client.CreateRecord(ctx, server.ZoneID("alpha.example"), cfapi.Fields{"name": fmt.Sprint("x", n), "type": "A", "content": "192.0.2.9"})
			return err
		}
		for n := range 6 {
			err = create(t.Context(), n%records)
		}
		if fault.ClassOf(err) != want {
			t.Errorf("6 creations of %d records that fail: class %s, want %s: %v", records, fault.ClassOf(err), want, err)
		}
	}
}
