package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/internal/testdb"
)

// noticesOf returns the notices of /health.json, and whether it says that all is well.
func noticesOf(t *testing.T, s *site) (texts []string, healthy bool) {
	t.Helper()
	var health struct {
		Healthy bool          `json:"healthy"`
		Alerts  []alert.Alert `json:"alerts"`
		Notices []alert.Alert `json:"notices"`
	}
	noError(t, json.Unmarshal([]byte(s.get("viewer", "/health.json").body), &health))
	for _, n := range health.Notices {
		if n.Effect == "" || n.Advice == "" {
			t.Errorf("the notice %+v does not say what to do", n)
		}
		texts = append(texts, n.Text+" "+n.Advice)
	}
	return texts, health.Healthy && len(health.Alerts) == 0
}

func TestMissingLimitForIdleTransactionsIsANoticeAndNoAlert(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			notices, well := noticesOf(t, newSite(t, db, "", nil))
			if !well {
				t.Error("the notice is an alert")
			}
			if opener.Name == "sqlite" {
				if len(notices) != 0 {
					t.Errorf("on SQLite: %q", notices)
				}
				return
			}
			want := map[string]string{"postgres": "idle_in_transaction_session_timeout = '60s'", "mysql": "_timeout = 60"}[opener.Name]
			if len(notices) != 1 || !strings.Contains(notices[0], "transactions that nobody uses") || !strings.Contains(notices[0], want) {
				t.Errorf("the notices are %q, want one with %q", notices, want)
			}
			limited := testdb.WithIdleLimit(t, db)
			s := newSite(t, limited, "", nil)
			if notices, _ := noticesOf(t, s); len(notices) != 0 {
				t.Errorf("with a limit, the notices are %q", notices)
			}
			if page := s.get("viewer", "/workers").body; strings.Contains(page, "transactions that nobody uses") {
				t.Error("with a limit, the page of the workers has the notice")
			}
		})
	}
}
