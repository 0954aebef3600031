package dns_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

var killedKey = []byte(strings.Repeat("k", 32))

// killedModule returns a module whose client calls a Cloudflare at a URL.
func killedModule(e *nawasync.Engine, address string, base http.RoundTripper) (*dns.Module, error) {
	service, err := cfapi.NewRemote(remote.Config{Base: base})
	if err != nil {
		return nil, err
	}
	client, err := cfapi.New(cfapi.Config{URL: address + "/client/v4", Token: secret.New("secret-token"), Remote: service, Scope: "main"})
	if err != nil {
		return nil, err
	}
	return dns.New(e, dns.Config{Tokens: dns.Tokens{"main": client}, Settle: -1})
}

// The process is killed after Cloudflare has created the record, and before the snapshot has it.
func TestRecordOfAProcessKilledBeforeTheCommitIsAdoptedAndNotCreatedTwice(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		enginetest.ParseTimes(t, h)
		enginetest.NoError(t, dns.CreateTables(t.Context(), h.DB.DB))
		server := sim.New(sim.Options{Records: 4})
		listener := httptest.NewServer(server)
		t.Cleanup(listener.Close)
		e := h.Tuned(host.Tuning{DeadAfter: 3 * time.Second}, func(c *nawasync.Config) {
			c.Sealer, c.Queues = enginetest.Keyring(t, killedKey), map[string]nawasync.Queue{dns.Queue: {}, dns.SyncQueue: {}}
		})
		module, err := killedModule(e, listener.URL, nil)
		enginetest.NoError(t, err)
		job, err := module.Records.Create(t.Context(), dns.Record{
			Token: "main", Account: server.AccountID("main"), Zone: server.ZoneID("alpha.example"),
			Name: "killed.alpha.example", Type: "MX", Content: "mail.alpha.example", TTL: 300, Priority: new(0),
		}, byAnn)
		enginetest.NoError(t, err)
		enginetest.StartChild(t, h, listener.URL).WaitExit(t)
		if creates, records := server.Calls(sim.OpCreate), len(server.Records("alpha.example")); creates != 1 || records != 5 {
			t.Fatalf("the killed process has made %d creations, and the zone has %d records; want 1 and 5", creates, records)
		}
		h.Start(e)
		var ended *tracker.Job
		enginetest.Eventually(t, 30*time.Second, "the job has ended", func() bool {
			ended, err = e.Reader().Get(t.Context(), job.ID)
			return err == nil && ended.Status.Terminal()
		})
		created, scope := server.Records("alpha.example")[4], dns.Record{Token: "main", Account: server.AccountID("main"), Zone: server.ZoneID("alpha.example")}
		scope.RID = created.ID
		row, err := module.Records.FindKey(t.Context(), scope)
		enginetest.NoError(t, err)
		if ended.Status != tracker.StatusSuccess || ended.Attempt != 2 || server.Calls(sim.OpCreate) != 1 || server.Changes(created.ID) != 1 {
			t.Errorf("the job is %s after attempt %d with %d creations, want success after attempt 2 with 1: %s",
				ended.Status, ended.Attempt, server.Calls(sim.OpCreate), ended.Error)
		}
		if row.RID != created.ID || row.State != nawasync.StateSynced || row.Priority == nil || *row.Priority != 0 {
			t.Errorf("the row is %+v, want the record %s that the killed process has created", row, created.ID)
		}
		enginetest.NoError(t, e.Stop(t.Context()))
	})
}

// killedChild runs a worker that kills itself as soon as Cloudflare has answered a creation.
func killedChild(c *enginetest.ChildProcess) error {
	ring, err := secret.NewKeyring(killedKey)
	if err != nil {
		return err
	}
	e, err := nawasync.New(nawasync.Config{
		DB: c.DB, Redis: c.Redis, Sealer: ring, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Queues: map[string]nawasync.Queue{dns.Queue: {}, dns.SyncQueue: {}},
	})
	if err != nil {
		return err
	}
	if _, err = killedModule(e, c.Mode, killer{}); err == nil {
		err = e.Start(context.Background())
	}
	if err != nil {
		return err
	}
	fmt.Println(enginetest.ChildReady)
	select {}
}

// killer kills its process after the answer to a POST.
type killer struct{}

// RoundTrip implements http.RoundTripper.
func (killer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return response, err
}
