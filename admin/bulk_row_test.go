package admin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestBulkRetryBringsARowToItsNewestValues(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := &host{site: newSite(t, db, "", nil)}
		h.boxes, h.server = mailboxes.New(t, h.engine, db.DB)
		h.server.Set(address(0), 100)
		noError(t, admin.Register(h.engine, h.enforcer))
		h.start()
		if got := h.post("operator", "/services/whm/sync", "type", "box", "instance", "main", "back", "/services/whm"); got.status != http.StatusSeeOther {
			t.Fatalf("sync now: %d", got.status)
		}
		h.until(func() bool { return h.count("action = 'sync' AND status = 'success'") == 1 })
		refuse := func(do func(nawasynctest.Call, mailboxes.Mailbox) error) {
			h.server.Configure(func() { h.server.Before = do })
		}
		refuse(func(call nawasynctest.Call, _ mailboxes.Mailbox) error {
			if call == nawasynctest.CallUpdate {
				return fault.WithClass(fault.ClassPermanent, errors.New("the disk is full"))
			}
			return nil
		})
		for _, quota := range []int{200, 300, 400} {
			job, err := h.boxes.Update(t.Context(), h.row(address(0)), func(m *mailboxes.Mailbox) { m.Quota = quota }, nawasync.Options{By: "user:7"})
			noError(t, err)
			h.await(job.ID, tracker.StatusFailed)
		}
		refuse(nil)
		preview := h.get("operator", "/bulk?action=retry&all=1&q=status:failed").body
		if !strings.Contains(preview, `title="quota 100 → 400"`) {
			t.Errorf("the preview does not show what the jobs change:\n%s", preview)
		}
		if _, page := h.retryAll("status:failed"); !strings.Contains(page, "<dt>Succeeded</dt><dd>1</dd>") {
			t.Errorf("the run's page shows:\n%s", page)
		}
		h.until(func() bool { return h.count("open_lane IS NOT NULL") == 0 })
		row := h.row(address(0))
		if row.Quota != 400 || row.State != nawasync.StateSynced || h.server.Quota(address(0)) != 400 {
			t.Errorf("the row is %+v, the server has %d; want the newest quota, 400", row, h.server.Quota(address(0)))
		}
	})
}
