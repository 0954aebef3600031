package jobstore

import (
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// promote wakes the first open job of each lane after the job before it has finished. It
// updates the job even if its wake-up was already sent, because a concurrent demote relies on
// the update. promote returns the wake-ups to send, by lane.
func (s *Store) promote(tx *gorm.DB, lanes []int64, now time.Time) (map[int64][]Bell, error) {
	if len(lanes) == 0 {
		return map[int64][]Bell{}, nil
	}
	heads, err := s.laneHeads(tx, lanes, now)
	s.reachMoment(MomentNextChosen)
	if err != nil || len(heads) == 0 {
		return map[int64][]Bell{}, err
	}
	us := now.UnixMicro()
	// The statement skips a job that still waits for its backoff: the job's wake_at wakes it.
	if err := tx.Exec(promoteHeads,
		us, now.Add(s.recheck).UnixMicro(), heads, us).Error; err != nil {
		return nil, err
	}
	next, err := s.query(tx, false, "WHERE j.id IN ? AND j.status = 'queued' AND j.rung_at = ?", heads, us)
	bells := map[int64][]Bell{}
	for _, job := range next {
		bells[job.Lane] = append(bells[job.Lane], job.bell())
	}
	return bells, err
}

// laneHeads returns the id of the first open job of each lane, sorted. It sorts lanes in place.
func (s *Store) laneHeads(tx *gorm.DB, lanes []int64, now time.Time) ([]int64, error) {
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
	err = sqlkit.Each(tx, func(rows *sql.Rows) error {
		var id sql.NullInt64
		err := rows.Scan(&id)
		if id.Valid {
			heads = append(heads, id.Int64)
		}
		return err
	}, s.dialect.LaneHeads(), now.UnixMicro(), text)
	slices.Sort(heads)
	return heads, err
}
