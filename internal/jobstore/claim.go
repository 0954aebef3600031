package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Claim names a job and the epoch in which a worker runs it.
type Claim struct {
	ID    int64
	Epoch int
}

// Mark is a position in a stream: the wake_at, in microseconds, and the id of a row.
type Mark struct{ WakeAt, ID int64 }

// Before reports whether m is before other.
func (m Mark) Before(other Mark) bool {
	return m.WakeAt < other.WakeAt || (m.WakeAt == other.WakeAt && m.ID < other.ID)
}

// Look says where a claim looks for jobs.
type Look struct {
	Stream
	After   Mark          // only rows after it; the zero Mark is before all rows
	Timeout time.Duration // of one attempt of the stream's kind
	Probe   bool          // also in scopes whose credentials are refused; see ClaimProbe
}

// probe returns 1 for a probe and 0 otherwise.
func (l Look) probe() int {
	if l.Probe {
		return 1
	}
	return 0
}

// LookResult is what a claim found in a stream.
type LookResult struct {
	Rows int   // how many rows it found that are due, whether it could claim them or not
	Last Mark  // the last of these rows
	Next int64 // wake_at of the first row that is not due yet, if it was found; otherwise 0
}

// Blocked is a due job that was not claimed because another job of its lane is open.
type Blocked struct {
	ID    int64
	Epoch int
	Lane  int64
}

// Claimed is the result of ClaimDue.
type Claimed struct {
	Jobs    []*Job       // the jobs that now run in this process
	Blocked []Blocked    // see Demote
	Looks   []LookResult // in the order of the looks
}

// ClaimDue starts up to rows due jobs of each stream under the worker's id, oldest first, and returns
// them. It finds nothing in a paused scope. It leaves out rows that another transaction has locked:
// a claim waits for nobody. Only the first open job of a lane can be claimed. The lanes are read
// without locks; the unique index on running_lane decides that two jobs of a lane never run at once.
//
// After an error, the database may still have applied the claim; see Worker.CheckOrphans.
func (s *Store) ClaimDue(ctx context.Context, worker string, looks []Look, rows int) (*Claimed, error) {
	if len(looks) == 0 {
		return &Claimed{}, nil
	}
	claim := s.claimInSteps
	if s.dialect.Name == "postgres" {
		claim = s.claimInOneStatement
	}
	result, err := claim(ctx, worker, looks, rows)
	if refused(err) {
		// Another process has started a job of the same lane at the same time. Now the lane shows it.
		result, err = claim(ctx, worker, looks, rows)
	}
	if refused(err) {
		result, err = claim(ctx, worker, looks[:1], 1)
	}
	if err != nil {
		return nil, fmt.Errorf("claim jobs of queue %s: %w", looks[0].Queue, err)
	}
	for len(result.Looks) < len(looks) {
		result.Looks = append(result.Looks, LookResult{Rows: rows}) // not looked at
	}
	return result, nil
}

// refused reports whether a claim failed because another transaction was faster.
func refused(err error) bool {
	return sqlkit.IsUniqueViolation(err) || sqlkit.IsSerializationFailure(err) || sqlkit.IsLockTimeout(err)
}

// found adds a row to the result of its look.
func (c *Claimed) found(look int, at Mark, now int64) {
	r := &c.Looks[look]
	switch {
	case at.WakeAt > now:
		if r.Next == 0 || at.WakeAt < r.Next {
			r.Next = at.WakeAt
		}
	default:
		r.Rows++
		if r.Last.Before(at) {
			r.Last = at
		}
	}
}

// lookRow is one row of the rowset of looks.
type lookRow struct {
	N        int    `json:"v_n"`
	Service  string `json:"v_service"`
	Type     string `json:"v_type"`
	Action   string `json:"v_action"`
	Instance string `json:"v_instance"`
	Wake     int64  `json:"v_wake"`
	ID       int64  `json:"v_id"`
	Timeout  int64  `json:"v_timeout"` // microseconds
	Probe    int    `json:"v_probe"`
}

func lookRows(looks []Look) (string, error) {
	rows := make([]lookRow, len(looks))
	for i, l := range looks {
		rows[i] = lookRow{i, l.Service, l.Type, l.Action, l.Instance, l.After.WakeAt, l.After.ID, l.Timeout.Microseconds(), l.probe()}
	}
	return sqlkit.JSONText(rows)
}

// Served is a kind that a process runs.
type Served struct {
	Kind    string        // service/type/action
	Timeout time.Duration // how long one attempt may run
}

// ClaimedBy returns the claimed job if its row shows that the claimed epoch runs on worker, and
// nil otherwise.
func (s *Store) ClaimedBy(ctx context.Context, worker string, c Claim) (*Job, error) {
	list, err := s.query(s.DB(ctx), true, "WHERE j.id = ? AND j.epoch = ? AND j.status = 'running' AND j.worker = ?", c.ID, c.Epoch, worker)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}
