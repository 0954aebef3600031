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
}

// AuditOutcome says whether an action succeeded.
type AuditOutcome string

// The outcomes of an action.
const (
	AuditDone    AuditOutcome = "done"
	AuditRefused AuditOutcome = "refused" // the operator lacked the permission
	AuditFailed  AuditOutcome = "failed"
)

// AuditFilter selects entries of the audit log. A zero field matches every entry.
type AuditFilter struct {
	Target  Target
	JobID   int64
	Subject string
	Action  string
	Address string
	Since   time.Time // inclusive
	Until   time.Time // exclusive
	Before  int64     // lists entries with lower ids; 0 starts at the newest
	Limit   int       // 1 to 500; 0 is 100
}

// AuditLog lists the audit entries that match f, newest first.
func (r *Reader) AuditLog(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	visible, args := r.limitCondition("nawasync_acts")
	where := []string{visible}
	if r.limit.byInstance() { // the reason of a pause of the whole service may name any instance
		whole, wholeArgs := r.Limited(Visibility{Services: slices.Collect(maps.Keys(r.limit.services))}).limitCondition("nawasync_acts")
		where = append(where, "(nawasync_acts.instance <> '' OR act NOT IN ('pause', 'resume') OR "+whole+")")
		args = append(args, wholeArgs...)
	}
	add := func(clause string, arg any) { where, args = append(where, clause), append(args, arg) }
	if f.Target != (Target{}) {
		add("target_key = ?", f.Target.key())
	}
	if f.JobID != 0 {
		add("job_id = ?", f.JobID)
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
	if !f.Since.IsZero() {
		add("at >= ?", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		add("at < ?", f.Until.UnixMicro())
	}
	if f.Before > 0 {
		add("id < ?", f.Before)
	}
	var list []AuditEntry
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var a AuditEntry
		var at int64
		var job sql.NullInt64
		err := rows.Scan(&a.ID, &at, &a.Subject, &a.Action, &a.Outcome, &a.Service, &a.Type, &a.Instance, &a.TargetID, &job, &a.Address, &a.Reason, &a.Detail)
		a.At, a.JobID = sqlkit.FromMicros(at), job.Int64
		list = append(list, a)
		return err
	}, "SELECT id, at, subject, act, outcome, service, type, instance, target_id, job_id, address, reason, detail FROM nawasync_acts WHERE "+
		strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT ?", append(args, min(max(cmp.Or(f.Limit, 100), 1), 500))...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return list, nil
}
