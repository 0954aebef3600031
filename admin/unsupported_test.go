package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// The remote can do everything at first. Later releases of the application can list mailboxes only, and list
// and read them.
func TestPagesDoNotOfferWhatTheRemoteCannotDo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 3)
		conflict := h.conflict(0)
		h.server.Configure(func() {
			h.server.Before = func(call nawasynctest.Call, _ mailboxes.Mailbox) error {
				if call == nawasynctest.CallUpdate {
					return nawasync.Permanent(errors.New("HTTP 400"))
				}
				return nil
			}
		})
		failed, err := h.boxes.Update(t.Context(), h.row(address(1)), func(m *mailboxes.Mailbox) { m.Quota = 7 }, nawasync.Options{By: "user:7"})
		noError(t, err)
		h.await(failed.ID, tracker.StatusFailed)
		deleted, err := h.boxes.Delete(t.Context(), h.row(address(2)), nawasync.Options{By: "user:7"})
		noError(t, err)
		h.await(deleted.ID, tracker.StatusSuccess)
		jobs := h.count("type = 'box'")
		noError(t, h.engine.Stop(t.Context()))

		type listing struct {
			mirror.Lister[mailboxes.Mailbox]
		}
		type reading struct {
			listing
			mirror.Reader[mailboxes.Mailbox]
		}
		for _, c := range []struct {
			supports mirror.Lister[mailboxes.Mailbox]
			reads    bool
		}{{listing{}, false}, {reading{}, true}} {
			later := newSite(t, db, "/admin/sync", nil)
			_, err := mirror.New(later.engine, mirror.Config[mailboxes.Mailbox]{Service: "whm", Type: "box", Supports: c.supports})
			noError(t, err)
			pages := map[string]string{
				"conflict": later.get("operator", fmt.Sprintf("/jobs/%d", conflict.ID)).body, "failed": later.get("operator", fmt.Sprintf("/jobs/%d", failed.ID)).body,
				"deleted": later.get("operator", fmt.Sprintf("/jobs/%d", deleted.ID)).body, "object": later.get("operator", objectPath(address(1))).body,
			}
			for _, offer := range []struct {
				page, form string
				want       bool
			}{
				{"conflict", "/keep_theirs", c.reads},
				{"conflict", "/accept", false},
				{"conflict", "/apply_mine", false},
				{"conflict", "/overwrite", false},
				{"failed", "/retry", false},
				{"failed", "/delete", true}, // the job
				{"deleted", "/restore_row", c.reads},
				{"object", "/target/refresh", c.reads},
			} {
				if got := strings.Contains(pages[offer.page], offer.form+`"`); got != offer.want {
					t.Errorf("reads %t: the page of the %s job offers %s: %t, want %t", c.reads, offer.page, offer.form, got, offer.want)
				}
			}
			if !strings.Contains(pages["failed"], "The server cannot do that.") {
				t.Errorf("the page of the failed job does not say why it cannot be retried:\n%s", pages["failed"])
			}
			for path, form := range map[string][]string{
				fmt.Sprintf("/jobs/%d/retry", failed.ID):        nil,
				fmt.Sprintf("/jobs/%d/apply_mine", conflict.ID): {"confirm", "yes"},
				fmt.Sprintf("/jobs/%d/overwrite", conflict.ID):  {"confirm", "yes"},
				fmt.Sprintf("/jobs/%d/restore_row", failed.ID):  nil,
				fmt.Sprintf("/jobs/%d/accept", conflict.ID):     {"confirm", "yes"},
			} {
				later.post("operator", path, form...)
			}
			if n := later.count("type = 'box'"); n != jobs {
				t.Errorf("reads %t: the forms made %d jobs that nobody can run", c.reads, n-jobs)
			}
		}
	})
}
