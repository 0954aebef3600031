package mirror_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// gadgetHook returns the webhook of gadgets in a process that only dispatches, with a connection pool of its
// own.
func gadgetHook(t *testing.T, h *enginetest.Harness) http.Handler {
	t.Helper()
	db, err := testdb.Open(h.DB.Dialect, h.DB.DSN)
	enginetest.NoError(t, err)
	t.Cleanup(func() { enginetest.CloseDB(db) })
	e := h.Engine(func(c *nawasync.Config) { c.DB, c.Sealer = db, enginetest.Keyring(t, shopKey) })
	repo, err := mirror.New(e, mirror.Config[gadget]{Service: "shop", Type: "gadget"})
	enginetest.NoError(t, err)
	handler, err := mirror.Webhook[gadget]{Secrets: []nawasync.Secret{hookKey}, Keys: func(_ *http.Request, body []byte) ([]gadget, error) {
		var event struct{ Name string }
		err := json.Unmarshal(body, &event)
		return []gadget{{Instance: "one", Name: event.Name}}, err
	}}.Handler(repo)
	enginetest.NoError(t, err)
	return handler
}

// sendGadget sends the nth event of a gadget until it is accepted, as a sender does, and returns how often.
func sendGadget(handler http.Handler, name string, n int) (tries int) {
	body := fmt.Sprintf(`{"n":%d,"name":%q}`, n, name)
	for tries = 1; tries <= 20; tries++ {
		r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Webhook-Signature", mirror.Webhook[gadget]{Secrets: []nawasync.Secret{hookKey}}.Sign(time.Now(), []byte(body)))
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code == http.StatusNoContent {
			return tries
		}
	}
	return tries
}

func TestThousandWebhooksOfOneObjectAreTwoRefreshesWhateverProcessTakesThem(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		remote := newGadgetRemote()
		remote.Put(numberedGadgets(1)...)
		var gets atomic.Int64
		reading, answer := make(chan struct{}), make(chan struct{})
		remote.beforeCall(func(string, string) error {
			if gets.Add(1) == 1 {
				close(reading)
				<-answer
			}
			return nil
		})
		url := serveRemote(t, remote)
		hooks := []http.Handler{gadgetHook(t, h), gadgetHook(t, h), gadgetHook(t, h)}
		for range 2 {
			enginetest.StartChild(t, h, "shop@none@"+url)
		}
		sendGadget(hooks[0], "g0000", 0)
		<-reading
		var senders sync.WaitGroup
		var refused atomic.Int64
		for sender := range 10 {
			senders.Go(func() {
				for n := range 100 {
					refused.Add(int64(sendGadget(hooks[n%len(hooks)], "g0000", 1+sender*100+n) - 1))
				}
			})
		}
		senders.Wait()
		if n := refused.Load(); n > 0 {
			t.Errorf("%d requests were refused", n)
		}
		close(answer)
		states := func() (list []string) {
			enginetest.NoError(t, db.Raw("SELECT status FROM nawasync_jobs WHERE action = ? ORDER BY id", tracker.RefreshAction).Scan(&list).Error)
			return list
		}
		enginetest.Eventually(t, 30*time.Second, "the end of the refreshes", func() bool {
			return !strings.Contains(strings.Join(states(), " "), "queued") && !strings.Contains(strings.Join(states(), " "), "running")
		})
		if list := states(); len(list) != 2 || list[0] != "success" || list[1] != "success" || gets.Load() != 2 {
			t.Errorf("refreshes %v with %d calls of the remote, want two for 1,001 webhooks", list, gets.Load())
		}
		var rows int64
		enginetest.NoError(t, db.Raw("SELECT COUNT(*) FROM gadgets WHERE sync_status = 'synced'").Row().Scan(&rows))
		if rows != 1 {
			t.Errorf("%d rows, want the gadget", rows)
		}
	})
}
