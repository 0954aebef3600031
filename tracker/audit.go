package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// AuditEntry records an action that an operator took or tried to take.
type AuditEntry struct {
	ID       int64        `json:"id"`
	At       time.Time    `json:"at"`
	Subject  string       `json:"subject"` // the operator
	Action   string       `json:"action"`  // retry, cancel, delete, pause, …
	Outcome  AuditOutcome `json:"outcome"`
	Service  string       `json:"service"` // "" if the action concerns no service
	Type     string       `json:"type"`
	Instance string       `json:"instance"`
	TargetID string       `json:"target_id"`
	JobID    int64        `json:"job_id,omitempty"` // the job the action changed or dispatched; 0 is none
	Address  string       `json:"address"`          // the client address of the request
	Reason   string       `json:"reason"`           // as the operator gave it
	Detail   string       `json:"detail"`           // the result, the missing permission or the error
	RunID    int64        `json:"run_id,omitempty"` // the job of the bulk run that took the action; 0 is none
}

// AuditOutcome says whether an action succeeded.
type AuditOutcome string

// The outcomes of an action.
const (
	AuditDone    AuditOutcome = "done"
	AuditRefused AuditOutcome = "refused" // the operator lacked the permission
	AuditFailed  AuditOutcome = "failed"
)

// AuditPrivateView is the Type of the entries about a saved view that is not shared. They name no service, because
// nobody else may learn what the view shows.
const AuditPrivateView = "private view"

// AuditFilter selects entries of the audit log. A zero field matches every entry.
type AuditFilter struct {
	Target   Target
	TargetID string // entries of all targets with this id
	JobID    int64
	RunID    int64 // entries of this bulk run
	Subject  string
	Action   string
	Outcome  AuditOutcome
	Service  string
	Address  string
	Since    time.Time // inclusive
	Until    time.Time // exclusive
	// PrivateOf leaves out the changes of private saved views, whose Type is AuditPrivateView, by others than this
	// subject. "" leaves none out.
	PrivateOf string
	// Listed leaves out the entries of bulk runs, except the first one of each run and instance. Use AuditRuns for
	// the others.
	Listed bool
	Before int64 // lists entries with lower ids; 0 starts at the newest
	After  int64 // lists the oldest entries with higher ids, newest first; Before must be 0
	Limit  int   // 1 to 500; 0 is 100
}

// AuditLog lists the audit entries that match f, newest first. An index finds the entries of a target, job, bulk
// run, outcome other than AuditDone and time range, and, of those that are listed, the entries of a subject, action
// and service.
func (r *Reader) AuditLog(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	query, args := r.auditQuery(f)
	var list []AuditEntry
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var a AuditEntry
		var at int64
		var job sql.NullInt64
		err := rows.Scan(
			&a.ID,
			&at,
			&a.Subject,
			&a.Action,
			&a.Outcome,
			&a.Service,
			&a.Type,
			&a.Instance,
			&a.TargetID,
			&job,
			&a.Address,
			&a.Reason,
			&a.Detail,
			&a.RunID,
		)
		a.At, a.JobID = sqlkit.FromMicros(at), job.Int64
		list = append(list, a)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	if f.After > 0 {
		slices.Reverse(list)
	}
	return list, nil
}

// auditQuery returns the query of AuditLog.
func (r *Reader) auditQuery(f AuditFilter) (query string, args []any) {
	where, args := r.auditConditions(f)
	order := "DESC"
	if f.After > 0 {
		order = "ASC"
	}
	return "SELECT id, at, subject, act, outcome, service, type, instance, target_id, job_id, address, reason, detail, run_id FROM nawasync_acts WHERE " +
		where + " ORDER BY id " + order + " LIMIT ?", append(args, min(max(cmp.Or(f.Limit, 100), 1), 500))
}

// auditConditions returns the conditions of a filter. What an index of some entries only depends on is not a
// parameter, because the database chooses the index before it knows the parameters.
func (r *Reader) auditConditions(f AuditFilter) (clause string, args []any) {
	clause, args = r.auditLimit()
	where := []string{clause}
	add := func(clause string, values ...any) { where, args = append(where, clause), append(args, values...) }
	if f.Listed {
		add("listed = TRUE")
	}
	if f.Target != (Target{}) {
		add("target_key = ?", f.Target.key())
	}
	if f.TargetID != "" {
		add("target_id <> '' AND target_id = ?", f.TargetID)
	}
	if f.JobID != 0 {
		add("job_id = ?", f.JobID)
	}
	if f.RunID != 0 {
		add("run_id <> 0 AND run_id = ?", f.RunID)
	}
	if f.Service != "" {
		add("service = ?", f.Service)
	}
	switch f.Outcome {
	case "":
	case AuditRefused, AuditFailed:
		add("outcome <> 'done' AND outcome = '" + string(f.Outcome) + "'")
	default:
		add("outcome = ?", string(f.Outcome))
	}
	if f.PrivateOf != "" {
		add("(type <> ? OR subject = ?)", AuditPrivateView, f.PrivateOf)
	}
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if f.Action != "" {
		add("act = ?", f.Action)
	}
	if f.Address != "" {
		add("address = ?", f.Address)
	}
	// Entries are almost in the order of their times. The entries nearest to a time bound the ids.
	if !f.Since.IsZero() {
		add(
			"at >= ? AND id >= (SELECT MIN(id) FROM (SELECT id FROM nawasync_acts WHERE at >= ? ORDER BY at LIMIT 100) later)",
			f.Since.UnixMicro(),
			f.Since.UnixMicro(),
		)
	}
	if !f.Until.IsZero() {
		add(
			"at < ? AND id <= (SELECT MAX(id) FROM (SELECT id FROM nawasync_acts WHERE at < ? ORDER BY at DESC LIMIT 100) earlier)",
			f.Until.UnixMicro(),
			f.Until.UnixMicro(),
		)
	}
	if f.Before > 0 {
		add("id < ?", f.Before)
	}
	if f.After > 0 {
		add("id > ?", f.After)
	}
	return strings.Join(where, " AND "), args
}

// auditLimit returns the condition for the entries that the Reader shows.
func (r *Reader) auditLimit() (clause string, args []any) {
	clause, args = r.limitCondition("nawasync_acts")
	if r.limit.byInstance() { // the reason of a pause of the whole service may name any instance
		whole, wholeArgs := r.Limited(Visibility{Services: slices.Collect(maps.Keys(r.limit.services))}).limitCondition("nawasync_acts")
		clause += " AND (nawasync_acts.instance <> '' OR act NOT IN ('pause', 'resume') OR " + whole + ")"
		args = append(args, wholeArgs...)
	}
	return clause, args
}

// MaxAuditRun is how many entries of a bulk run AuditRuns counts.
const MaxAuditRun = 1000

// AuditCount is how many entries of a bulk run have an action and an outcome.
type AuditCount struct {
	RunID   int64
	Action  string
	Outcome AuditOutcome
	N       int // if those of a run add up to MaxAuditRun, there may be more
}

// AuditRuns counts the entries of bulk runs by action and outcome, MaxAuditRun of each run. It counts the entries that
// the Reader shows.
func (r *Reader) AuditRuns(ctx context.Context, runs []int64) ([]AuditCount, error) {
	if len(runs) == 0 {
		return nil, nil
	}
	var parts []string
	var args []any
	for _, run := range runs {
		where, values := r.auditConditions(AuditFilter{RunID: run})
		parts = append(
			parts,
			fmt.Sprintf("SELECT * FROM (SELECT run_id, act, outcome FROM nawasync_acts WHERE %s LIMIT %d) run_%d", where, MaxAuditRun, len(parts)),
		)
		args = append(args, values...)
	}
	var list []AuditCount
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var c AuditCount
		err := rows.Scan(&c.RunID, &c.Action, &c.Outcome, &c.N)
		list = append(list, c)
		return err
	}, "SELECT run_id, act, outcome, COUNT(*) FROM ("+strings.Join(parts, " UNION ALL ")+") runs GROUP BY run_id, act, outcome ORDER BY run_id, act, outcome", args...)
	if err != nil {
		return nil, fmt.Errorf("count the audit entries of bulk runs: %w", err)
	}
	return list, nil
}
