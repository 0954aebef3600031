package tracker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
)

// The log has 20,000 entries, of which nine of ten belong to a bulk run.
func TestIndexesFindTheEntriesOfEachFilterOfTheAuditLog(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for batch := range 40 {
			var rows []string
			for i := range 500 {
				n := batch*500 + i
				run, listed, outcome := 0, "TRUE", "done"
				if n%10 > 0 {
					run, listed = 1+n/1000, "FALSE"
				}
				if n%400 == 0 {
					outcome = "failed"
				}
				rows = append(rows, fmt.Sprintf("(%d, 'user%d', 'act%d', '%s', 'service%d', 't', 'i', 'box%d', NULL, NULL, '', '', '', %d, %s)",
					1_700_000_000_000_000+n*1_000_000, n/10%200, n/10%200, outcome, n/10%200, n, run, listed))
			}
			err := db.Exec(
				"INSERT INTO nawasync_acts (at, subject, act, outcome, service, type, instance, target_id, target_key, job_id, address, reason, detail, run_id, listed) VALUES " + strings.Join(
					rows,
					",",
				),
			).Error
			if err != nil {
				t.Fatal(err)
			}
		}
		analyze := map[string]string{"postgres": "ANALYZE nawasync_acts", "mysql": "ANALYZE TABLE nawasync_acts", "sqlite": "ANALYZE"}[db.Dialect]
		if err := db.Exec(analyze).Error; err != nil {
			t.Fatal(err)
		}
		r, err := New(db.DB, Options{})
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMicro(1_700_000_000_000_000 + 9000*1_000_000)
		for name, filter := range map[string]AuditFilter{
			"run": {RunID: 7}, "object": {TargetID: "box17"}, "outcome": {Outcome: AuditFailed},
			"subject": {Listed: true, Subject: "user3"}, "action": {Listed: true, Action: "act3"}, "service": {Listed: true, Service: "service3"},
			"subject before": {Listed: true, Subject: "user3", Before: 9000}, "subject after": {Listed: true, Subject: "user3", After: 9000},
			"subject_all": {Subject: "user3"}, "action_all": {Action: "act3"}, "subject_all done": {Subject: "user3", Outcome: AuditDone},
			"since": {Listed: true, Since: at, Until: at.Add(time.Hour)}, "failed since": {Outcome: AuditFailed, Since: at, Until: at.Add(time.Hour)},
		} {
			plan := explain(t, db, r, filter)
			switch first := strings.Fields(name)[0]; first {
			case "since", "failed":
				if !strings.Contains(plan, "nawasync_acts_at") {
					t.Errorf("%s: no index finds the time:\n%s", name, plan)
				}
			default:
				index := "nawasync_acts_" + strings.TrimSuffix(first, "s")
				if !strings.Contains(plan, index) && (first != "service" || !strings.Contains(plan, "nawasync_acts_listed_service")) {
					t.Errorf("%s: the plan does not use %s:\n%s", name, index, plan)
				}
			}
		}
		if plan := explain(t, db, r, AuditFilter{Listed: true}); !strings.Contains(plan, "nawasync_acts_listed") {
			t.Errorf("the first page reads the entries of bulk runs:\n%s", plan)
		}
	})
}

// explain returns the plan of AuditLog.
func explain(t *testing.T, db *testdb.Database, r *Reader, f AuditFilter) string {
	t.Helper()
	query, args := r.auditQuery(f)
	explain := "EXPLAIN "
	if db.Dialect == "sqlite" {
		explain = "EXPLAIN QUERY PLAN "
	}
	var plan []map[string]any
	if err := db.Raw(explain+query, args...).Scan(&plan).Error; err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, row := range plan {
		for _, column := range []string{"QUERY PLAN", "detail", "key", "Extra"} {
			if value, found := row[column]; found && value != nil {
				if text, ok := value.([]byte); ok {
					value = string(text)
				}
				lines = append(lines, fmt.Sprint(value))
			}
		}
	}
	return strings.Join(lines, "\n")
}
