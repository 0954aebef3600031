package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Bell is one doorbell to ring: a task for Redis.
type Bell struct {
	ID    int64
	Epoch int
	Ring  int
	Queue string
}

func (j *Job) bell() Bell { return Bell{ID: j.ID, Epoch: j.Epoch, Ring: j.Ring, Queue: j.Queue} }

// Bells are the doorbells of the jobs that were inserted rung.
func Bells(jobs []*Job) []Bell {
	var bells []Bell
	for _, job := range jobs {
		if !job.RungAt.IsZero() && !job.Coalesced {
			bells = append(bells, job.bell())
		}
	}
	return bells
}

// Due is a queued job at which the relay has to look.
type Due struct {
	Job      *Job      // without arguments and texts
	Runnable bool      // first of its lane, and none of its lane runs
	Paused   time.Time // until when its scope is paused; zero when it is not
	look     lookRow
}

// Due returns queued jobs of the queue that are to be looked at by now, in the
// order in which they came due. Those behind others of their lane are not among
// them, unless nobody has found that out yet.
func (s *Store) Due(ctx context.Context, queue string, limit int) ([]Due, error) {
	return s.due(ctx, queue, "", limit)
}

// DueRung is Due for those only that have been rung: behind a long backlog Due
// would come to them late.
func (s *Store) DueRung(ctx context.Context, queue string, limit int) ([]Due, error) {
	return s.due(ctx, queue, " AND j.rung_at IS NOT NULL", limit)
}

func (s *Store) due(ctx context.Context, queue, where string, limit int) ([]Due, error) {
	now := s.Now()
	rows, err := s.lookRows(s.DB(ctx), false,
		" FROM nawasync_jobs j WHERE j.queue = ? AND j.wake_at <= ?"+where+" ORDER BY j.wake_at, j.id LIMIT ?", now, queue, now.UnixMicro(), limit)
	s.reachMoment(MomentPauseRead)
	list := make([]Due, len(rows))
	for i, row := range rows {
		list[i] = Due{Job: row.job, Runnable: !row.behind && !row.busy, Paused: sqlkit.FromMicros(row.paused), look: row}
	}
	return list, err
}

type ringRow struct {
	ID    int64 `json:"v_id"`
	Epoch int   `json:"v_epoch"`
	Ring  int   `json:"v_ring"`
	Wake  int64 `json:"v_wake"`
}

var ringColumns = []string{"id", "epoch", "ring", "wake"}

func ringRows(rows []lookRow) ([]int64, []ringRow) {
	list := make([]ringRow, len(rows))
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.job.ID
		list[i] = ringRow{r.job.ID, r.job.Epoch, r.job.Ring, r.wake.UnixMicro()}
	}
	slices.SortFunc(list, func(a, b ringRow) int { return cmp.Compare(a.ID, b.ID) })
	return ids, list
}

func looks(due []Due) []lookRow {
	rows := make([]lookRow, len(due))
	for i, d := range due {
		rows[i] = d.look
	}
	return rows
}

// MarkRung raises the ring of the jobs and returns the bells to ring. Of several
// relays that try, one gets each bell.
func (s *Store) MarkRung(ctx context.Context, due []Due) ([]Bell, error) {
	if len(due) == 0 {
		return nil, nil
	}
	now := s.Now()
	var won map[int64]bool
	ids, rows := ringRows(looks(due))
	err := s.withoutFsync(ctx, func(tx *gorm.DB) (err error) {
		won, err = s.batch(tx, updateStatement{
			columns: ringColumns,
			set:     setRung, fence: ringFence,
			args: []any{now.UnixMicro(), now.Add(s.recheck).UnixMicro()},
		}, ids, rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	var bells []Bell
	for _, d := range due {
		if won[d.Job.ID] {
			bell := d.Job.bell()
			bell.Ring++
			bells = append(bells, bell)
		}
	}
	return bells, nil
}

// Unring says that the bells did not reach Redis: the relay rings again at once.
func (s *Store) Unring(ctx context.Context, bells []Bell) error {
	rows := make([]lookRow, len(bells))
	for i, b := range bells {
		rows[i] = lookRow{job: &Job{Job: tracker.Job{ID: b.ID, Epoch: b.Epoch}, Private: jobrow.Private{Ring: b.Ring}}, wake: s.Now()}
	}
	return s.postpone(ctx, rows)
}

// Release gives a job back that this process took from Redis but cannot claim.
func (s *Store) Release(ctx context.Context, claim Claim) error {
	return s.exec(ctx, func(tx *gorm.DB) error {
		return tx.Exec(releaseJob,
			s.Now().UnixMicro(), claim.ID, claim.Epoch).Error
	})
}

// Postpone has the relay look at the jobs again at the given time. They count as
// not rung.
func (s *Store) Postpone(ctx context.Context, due []Due, until func(Due) time.Time) error {
	rows := looks(due)
	for i := range rows {
		rows[i].wake = until(due[i])
	}
	return s.postpone(ctx, rows)
}

func (s *Store) postpone(ctx context.Context, rows []lookRow) error {
	return s.move(ctx, rows, "rung_at = NULL, wake_at = v_wake")
}

// StillRung has the relay look at rung jobs again after a while that grows with
// their wait: their tasks are still in Redis.
func (s *Store) StillRung(ctx context.Context, due []Due) error {
	now := s.Now()
	rows := looks(due)
	for i := range rows {
		rows[i].wake = now.Add(max(s.recheck, now.Sub(rows[i].job.RungAt)))
	}
	return s.move(ctx, rows, "wake_at = v_wake")
}

func (s *Store) move(ctx context.Context, rows []lookRow, set string) error {
	if len(rows) == 0 {
		return nil
	}
	ids, list := ringRows(rows)
	return s.withoutFsync(ctx, func(tx *gorm.DB) error {
		_, err := s.batch(tx, updateStatement{columns: ringColumns, set: set, fence: ringFence}, ids, list)
		return err
	})
}

// Demote takes jobs that are behind others of their lane out of the relay's
// sight; the ending of the job before them brings them back.
func (s *Store) Demote(ctx context.Context, due []Due) error { return s.demote(ctx, looks(due)) }

// demote must not lose a wake-up. An ending writes its successor's ring whether
// or not it waits, so an ending that looks after the demotion finds the row. One
// that looked before it and has not committed yet is waited for: it holds the lock
// on the row that is in the way. Then the lane is looked at again.
func (s *Store) demote(ctx context.Context, rows []lookRow) error {
	if len(rows) == 0 {
		return nil
	}
	if err := s.move(ctx, rows, "rung_at = NULL, wake_at = NULL"); err != nil {
		return err
	}
	ids := make([]int64, len(rows))
	lanes := make([]int64, len(rows))
	for i, row := range rows {
		ids[i], lanes[i] = row.job.ID, row.job.Lane
	}
	if err := s.settleHeads(ctx, lanes); err != nil {
		return err
	}
	again, err := s.lookRows(s.DB(ctx), false, " FROM nawasync_jobs j WHERE j.id IN ? AND j.status = 'queued' AND j.wake_at IS NULL", s.Now(), ids)
	s.reachMoment(MomentLaneReread)
	if err != nil {
		return err
	}
	var free []lookRow
	for _, row := range again {
		if !row.behind && !row.busy {
			row.wake = s.Now()
			free = append(free, row)
		}
	}
	return s.postpone(ctx, free)
}

// settleHeads waits until nobody is ending the first of any of the lanes. SQLite
// has one writer: there nobody is, once we could write.
func (s *Store) settleHeads(ctx context.Context, lanes []int64) error {
	if s.dialect.Name == "sqlite" {
		return nil
	}
	var settled []int64
	for {
		heads, err := s.laneHeads(s.DB(ctx), slices.Clone(lanes), s.Now())
		if err != nil || len(heads) == 0 || slices.Equal(heads, settled) {
			return err
		}
		s.reachMoment(MomentHeadLocked)
		err = s.Transaction(ctx, func(tx *gorm.DB) error {
			return sqlkit.Each(sqlkit.Session(ctx, tx), func(*sql.Rows) error { return nil }, "SELECT id FROM nawasync_jobs WHERE id IN ? ORDER BY id FOR UPDATE", heads)
		})
		if err != nil {
			return err
		}
		settled = heads
	}
}

func (s *Store) clearRings(tx *gorm.DB) error {
	return tx.Exec(clearRung, s.Now().UnixMicro()).Error
}

// WakeKinds makes the relay look at once at postponed jobs of kinds
// (service/type/action) that a process has begun to serve.
func (s *Store) WakeKinds(ctx context.Context, kinds []string) error {
	return s.exec(ctx, func(tx *gorm.DB) error {
		now := s.Now().UnixMicro()
		return tx.Exec(wakeJobs+s.dialect.KindText()+" IN ?",
			now, now, now, kinds).Error
	})
}

// SweepLanes is the safety net under the lanes: it looks at up to limit lanes
// after the given one and wakes a first job that nobody will wake, for example
// because the row before it was deleted by hand. It returns the lane to go on
// after, and whether it came to the end.
func (s *Store) SweepLanes(ctx context.Context, after int64, limit int) (next int64, end bool, err error) {
	now := s.Now()
	next, n := after, 0
	var heads []int64
	err = sqlkit.Each(s.DB(ctx), func(rows *sql.Rows) error {
		var lane int64
		var head sql.NullInt64
		n++
		if err := rows.Scan(&lane, &head); err != nil {
			return err
		}
		next = lane
		if head.Valid {
			heads = append(heads, head.Int64)
		}
		return nil
	}, "SELECT open_lane, MIN(CASE WHEN epoch > 0 OR not_before <= ? THEN id END) FROM nawasync_jobs WHERE open_lane > ? GROUP BY open_lane ORDER BY open_lane LIMIT ?",
		now.UnixMicro(), after, limit)
	s.reachMoment(MomentSwept)
	if err != nil || len(heads) == 0 {
		return next, n < limit, err
	}
	err = s.exec(ctx, func(tx *gorm.DB) error {
		return tx.Exec(wakeHeads,
			now.UnixMicro(), now.UnixMicro(), heads).Error
	})
	return next, n < limit, err
}

// withoutFsync is for rings only: PostgreSQL need not wait for its disk. A ring that a
// crash of the database undoes is rung once more; a claim so lost would let two
// workers hold one epoch.
func (s *Store) withoutFsync(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if s.dialect.Name != "postgres" {
		return s.singleStatement(ctx, fn)
	}
	return s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		if err := tx.Exec("SET LOCAL synchronous_commit = off").Error; err != nil {
			return err
		}
		return fn(tx)
	})
}

// relayColumns are those that the relay needs.
const relayColumns = `j.id, j.lane, j.service, j.type, j.action, j.instance, j.queue, j.epoch, j.ring, j.created_at, j.not_before, j.rung_at`

// scanRelay reads relayColumns.
func scanRelay(rows *sql.Rows, extra ...any) (*Job, error) {
	j := &Job{Job: tracker.Job{Status: tracker.StatusQueued}}
	var created, notBefore int64
	var rung sql.NullInt64
	into := []any{&j.ID, &j.Lane, &j.Service, &j.Type, &j.Action, &j.Instance, &j.Queue, &j.Epoch, &j.Ring, &created, &notBefore, &rung}
	err := rows.Scan(append(into, extra...)...)
	j.CreatedAt, j.NotBefore, j.RungAt = sqlkit.FromMicros(created), sqlkit.FromMicros(notBefore), sqlkit.FromMicros(rung.Int64)
	return j, err
}
