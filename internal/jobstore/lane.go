package jobstore

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// The jobs of a lane run one at a time, in order of id. The first of them is in the claim index: it
// has a wake_at. The others are behind it and should not be, because claims would look at them again
// and again. A job is taken out only in a transaction that has locked a job in its way and seen it
// open. To end, that job needs the same lock; its ending then looks for the next job of the lane in
// a later statement, and finds the one that was taken out. So none is forgotten. Whoever cannot get
// a lock looks again after lookAgain. SweepLanes finds what a process that died has left.

// lookAgain is when a job is looked at again whose blocking job was locked.
const lookAgain = time.Second

// Demote takes jobs that are behind others out of the claim index.
func (s *Store) Demote(ctx context.Context, jobs []Blocked) error {
	if len(jobs) == 0 {
		return nil
	}
	if s.dialect.Name == "sqlite" { // the only writer needs no locks
		ids := make([]int64, len(jobs))
		for i, j := range jobs {
			ids[i] = j.ID
		}
		return s.exec(ctx, func(conn *sqlkit.Conn) error {
			return conn.Exec(putBehind+" AND ("+
				s.dialect.Behind()+" = 1 OR "+sqlkit.LaneBusy+" = 1)", ids).Error
		})
	}
	return s.frequentTransaction(ctx, func(conn *sqlkit.Conn) error { return s.demote(conn, jobs) })
}

func (s *Store) demote(conn *sqlkit.Conn, jobs []Blocked) error {
	blockers, err := s.blockers(conn, jobs)
	s.reachMoment(MomentBlocked)
	if err != nil {
		return err
	}
	var all []int64
	for _, id := range blockers {
		all = append(all, id)
	}
	slices.Sort(all)
	held := map[int64]bool{}
	if len(all) > 0 {
		ids, err := sqlkit.Column[int64](conn, "SELECT j.id FROM nawasync_jobs j WHERE j.id IN ? AND j.open_lane IS NOT NULL ORDER BY j.id FOR UPDATE SKIP LOCKED", slices.Compact(all))
		if err != nil {
			return err
		}
		for _, id := range ids {
			held[id] = true
		}
	}
	later := s.Now().Add(lookAgain).UnixMicro()
	var ids []int64
	var rows []wakeRow
	for _, j := range jobs {
		blocker, ok := blockers[j.ID]
		if !ok {
			continue // its lane is free by now
		}
		row := wakeRow{ID: j.ID, Epoch: j.Epoch, Wake: &later}
		if held[blocker] {
			row.Wake = nil
		}
		ids, rows = append(ids, j.ID), append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	_, err = s.batch(conn, updateStatement{columns: []string{"id", "epoch", "wake"}, set: setBehind, fence: behindFence}, ids, rows)
	return err
}

// wakeRow is one row of the rowset of setBehind and setFirst.
type wakeRow struct {
	ID    int64  `json:"v_id"`
	Epoch int    `json:"v_epoch"`
	Wake  *int64 `json:"v_wake,omitempty"`
}

// blockers returns for each of the jobs a job of its lane that is in its way: the one that runs, or
// else the first one before it. A job whose lane is free is not in the map.
func (s *Store) blockers(conn *sqlkit.Conn, jobs []Blocked) (map[int64]int64, error) {
	type blockedRow struct {
		ID   int64 `json:"v_id"`
		Lane int64 `json:"v_lane"`
	}
	rows := make([]blockedRow, len(jobs))
	for i, j := range jobs {
		rows[i] = blockedRow{j.ID, j.Lane}
	}
	text, err := sqlkit.JSONText(rows)
	if err != nil {
		return nil, err
	}
	table, id := s.dialect.LaneRows()
	found := map[int64]int64{}
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var job int64
		var blocker sql.NullInt64
		err := rows.Scan(&job, &blocker)
		if blocker.Valid {
			found[job] = blocker.Int64
		}
		return err
	}, "SELECT v_id, COALESCE((SELECT r.id FROM nawasync_jobs r WHERE r.running_lane = v_lane AND r.id <> v_id), (SELECT h.id FROM "+table+
		" WHERE h.open_lane = v_lane AND h.in_lane = TRUE AND "+id+" < v_id ORDER BY "+id+" LIMIT 1)) FROM "+s.idleLimited()+s.dialect.Rowset("id", "lane"), text)
	return found, err
}

// promote returns the first job of each lane to the claim index, after the job before it has ended.
// It returns the streams that now have a due job.
func (s *Store) promote(conn *sqlkit.Conn, lanes []int64, now time.Time) ([]Wake, error) {
	if len(lanes) == 0 {
		return nil, nil
	}
	heads, err := s.laneHeads(conn, lanes)
	s.reachMoment(MomentNextChosen)
	if err != nil || len(heads) == 0 {
		return nil, err
	}
	return s.wakeHeads(conn, heads, now)
}

func (s *Store) wakeHeads(conn *sqlkit.Conn, heads []int64, now time.Time) ([]Wake, error) {
	at := now.UnixMicro()
	rows := make([]wakeRow, len(heads))
	for i, id := range heads {
		rows[i] = wakeRow{ID: id, Wake: &at}
	}
	won, err := s.batch(conn, updateStatement{columns: []string{"id", "wake"}, set: setFirst, fence: firstFence}, heads, rows)
	if err != nil || len(won) == 0 {
		return nil, err
	}
	ids := make([]int64, 0, len(won))
	for id := range won {
		ids = append(ids, id)
	}
	next, err := s.query(conn, false, "WHERE j.id IN ?", ids)
	return WakesOf(next), err
}

// laneHeads returns the id of the first job of each lane, sorted. It sorts lanes in place.
func (s *Store) laneHeads(conn *sqlkit.Conn, lanes []int64) ([]int64, error) {
	type laneRow struct {
		Lane int64 `json:"v_lane"`
	}
	slices.Sort(lanes)
	lanes = slices.Compact(lanes)
	rows := make([]laneRow, len(lanes))
	for i, lane := range lanes {
		rows[i].Lane = lane
	}
	text, err := sqlkit.JSONText(rows)
	if err != nil {
		return nil, err
	}
	var heads []int64
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var id sql.NullInt64
		err := rows.Scan(&id)
		if id.Valid {
			heads = append(heads, id.Int64)
		}
		return err
	}, s.dialect.LaneHeads(), text)
	slices.Sort(heads)
	return heads, err
}

// SweepLanes is the safety net under the lanes: it looks at up to limit lanes after the given one, at most until
// another one, and returns to the claim index a first job that nobody will return, for example because the row
// before it was deleted by hand. It returns the lane to go on after, which is until at the end of the range.
func (s *Store) SweepLanes(ctx context.Context, after, until int64, limit int) (next int64, err error) {
	next, n := after, 0
	var heads []int64
	err = sqlkit.Each(s.background(ctx), func(rows *sql.Rows) error {
		var head sql.NullInt64
		n++
		if err := rows.Scan(&next, &head); err != nil {
			return err
		}
		if head.Valid {
			heads = append(heads, head.Int64)
		}
		return nil
	}, "SELECT open_lane, MIN(CASE WHEN in_lane = TRUE THEN id END) FROM nawasync_jobs WHERE open_lane > ? AND open_lane <= ? GROUP BY open_lane ORDER BY open_lane LIMIT ?", after, until, limit)
	s.reachMoment(MomentSwept)
	if err != nil {
		return after, err
	}
	if n < limit {
		next = until
	}
	if len(heads) == 0 {
		return next, nil
	}
	return next, s.wakeForgotten(ctx, heads)
}

// wakeForgotten returns those of the jobs to the claim index that wait outside of it.
func (s *Store) wakeForgotten(ctx context.Context, heads []int64) error {
	const forgotten = "j.status = 'queued' AND j.wake_at IS NULL"
	// MySQL would lock the others, too, until the end of the transaction, among them jobs that run: if this process froze
	// meanwhile, nobody could end these.
	ids, err := sqlkit.Column[int64](s.DB(ctx), "SELECT j.id FROM nawasync_jobs j WHERE j.id IN ? AND "+forgotten+" ORDER BY j.id", heads)
	if err != nil || len(ids) == 0 {
		return err
	}
	at := s.Now().UnixMicro()
	rows := make([]wakeRow, len(ids))
	for i, id := range ids {
		rows[i] = wakeRow{ID: id, Wake: &at}
	}
	return s.singleStatement(ctx, func(conn *sqlkit.Conn) error {
		_, err := s.batch(conn, updateStatement{columns: []string{"id", "wake"}, set: setFirst, fence: forgotten}, ids, rows)
		s.reachMoment(MomentWoken)
		return err
	})
}
