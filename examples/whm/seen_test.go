package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/setup"
)

func TestFormOfAnotherRowOrOfAnOldPageChangesNothingAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s, _, dir := embedded(t, 40)
	s.do("/sync")
	const info, sales, bob = "info@alpha.example", "sales@alpha.example", "bob@alpha.example"
	token, other, old := s.seen(info), s.seen(sales), s.seen(bob)
	s.do("/mailboxes/delete", "email", sales, "sure", "yes")
	db, err := setup.OpenDatabase(t.Context(), "sqlite:"+filepath.Join(dir, "whm.db"))
	noError(t, err)
	pool, err := db.DB()
	noError(t, err)
	defer func() { noError(t, pool.Close()) }()
	// The row of bob stands for another mailbox now.
	noError(t, db.Exec("UPDATE whm_email_accounts SET email = 'rob@alpha.example' WHERE email = ?", bob).Error)
	for name, c := range map[string]struct {
		email, seen, want string
		status            int
	}{
		"no token":                {info, "", "does not belong to this row", http.StatusUnprocessableEntity},
		"another row's token":     {info, old, "does not belong to this row", http.StatusUnprocessableEntity},
		"a changed token":         {info, token[:len(token)-4] + "AAAA", "does not belong to this row", http.StatusUnprocessableEntity},
		"another object by now":   {"rob@alpha.example", old, "form is out of date", http.StatusConflict},
		"a deleted mailbox":       {sales, other, "no row with this name", http.StatusUnprocessableEntity},
		"the values of old forms": {info, `{"quota":262144000}`, "does not belong to this row", http.StatusUnprocessableEntity},
	} {
		for path, more := range map[string][]string{"/mailboxes/update_quota": {"quota_mb", "444"}, "/mailboxes/delete": {"sure", "yes"}} {
			status, page, job := s.post(path, append(more, "email", c.email, "seen", c.seen)...)
			if status != c.status || job != "" || !strings.Contains(page, "Nothing was changed.") || !strings.Contains(page, c.want) {
				t.Errorf("%s with %s: status %d, job %q, want %d and %q:\n%s", path, name, status, job, c.status, c.want, page)
			}
		}
	}
	if state := s.server.Mailbox(info); !state.Exists || *state.QuotaMB == 444 {
		t.Errorf("mailbox %+v, want it unchanged", state)
	}
	s.do("/mailboxes/update_quota", "email", info, "quota_mb", "444", "seen", token)
}
