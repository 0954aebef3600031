package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// OpenIn selects open jobs of a lane that has a name.
type OpenIn struct{ Service, Lane, Type, Action, Instance string }

// OpenInLane returns the running one of the selected jobs or, if none runs, the oldest one. It returns tracker.ErrNotFound if
// there is none.
func (s *Store) OpenInLane(ctx context.Context, tx *gorm.DB, q OpenIn) (*Job, error) {
	// The order is by an expression, so that no planner reads the primary key in that order.
	list, err := s.query(sqlkit.Connect(ctx, tx), true, "WHERE j.open_lane = ? AND j.type = ? AND j.action = ? AND j.instance = ?"+
		" ORDER BY CASE WHEN j.running_lane IS NULL THEN 1 ELSE 0 END, j.id LIMIT 1", jobrow.NamedLane(q.Service, q.Lane), q.Type, q.Action, q.Instance)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for the open job of %s/%s/%s: %w", q.Service, q.Type, q.Action, err)
	case len(list) == 0:
		return nil, fmt.Errorf("open job of %s/%s/%s: %w", q.Service, q.Type, q.Action, tracker.ErrNotFound)
	}
	return list[0], nil
}

// ChangesOf selects the open jobs that change rows of a table.
type ChangesOf struct {
	Service, Type, Table string
	Rows                 []int64
	Limit                int // the newest ones of each row
}

// OpenChange is an open job that changes a row.
type OpenChange struct {
	ID, Row int64
	Action  string
	Payload json.RawMessage // the arguments, masked
	Sealed  bool            // whether masking may have changed the payload

	inLane, running bool
	notBefore       int64
}

// OpenChanges lists the selected jobs, those of a row in the order in which they run.
func (s *Store) OpenChanges(ctx context.Context, tx *gorm.DB, q ChangesOf) (list []OpenChange, err error) {
	if len(q.Rows) == 0 {
		return nil, nil
	}
	from, lanes, err := s.jobsOfLanes(q)
	if err != nil {
		return nil, err
	}
	query := "SELECT id, snap_row, action, payload, CASE WHEN sealed IS NULL THEN 0 ELSE 1 END, CASE WHEN in_lane = TRUE THEN 1 ELSE 0 END," +
		" CASE WHEN running_lane IS NULL THEN 0 ELSE 1 END, not_before FROM (SELECT h.id, h.snap_row, h.action, h.payload, h.sealed, h.in_lane, h.running_lane, h.not_before," +
		" ROW_NUMBER() OVER (PARTITION BY h.open_lane ORDER BY h.id DESC) AS nth FROM " + from + " h.snap_state IS NOT NULL AND h.snap_table = ? AND h.service = ? AND h.type = ?) AS o WHERE nth <= ?"
	err = sqlkit.Each(sqlkit.Connect(ctx, tx), func(rows *sql.Rows) error {
		var c OpenChange
		var payload sql.NullString
		err := rows.Scan(&c.ID, &c.Row, &c.Action, &payload, &c.Sealed, &c.inLane, &c.running, &c.notBefore)
		c.Payload = sqlkit.RawJSON(payload)
		list = append(list, c)
		return err
	}, query, lanes, q.Table, q.Service, q.Type, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list the open changes of %s: %w", q.Table, err)
	}
	slices.SortFunc(list, compareTurns)
	return list, nil
}

// jobsOfLanes returns the jobs h of the rows' lanes, as the beginning of a FROM clause that a condition follows. Its parameter
// holds all lanes, so that the statement has one text.
func (s *Store) jobsOfLanes(q ChangesOf) (from, lanes string, err error) {
	if s.dialect.Name == "postgres" { // see Dialect.Pinned
		ids := make([]string, len(q.Rows))
		for i, row := range q.Rows {
			ids[i] = strconv.FormatInt(jobrow.RowLane(q.Table, row), 10)
		}
		return "nawasync_jobs h WHERE h.open_lane = ANY((SELECT CAST(CAST(? AS text) AS bigint[]))::bigint[]) AND", "{" + strings.Join(ids, ",") + "}", nil
	}
	rows := make([]laneRow, len(q.Rows))
	for i, row := range q.Rows {
		rows[i].Lane = jobrow.RowLane(q.Table, row)
	}
	lanes, err = sqlkit.JSONText(rows)
	table, _ := s.dialect.LaneRows()
	return s.dialect.Rowset("lane") + " JOIN " + table + " ON h.open_lane = v_lane WHERE", lanes, err
}

// laneRow is one row of a rowset of lanes.
type laneRow struct {
	Lane int64 `json:"v_lane"`
}

// compareTurns orders jobs of a row by when they run: the running one, those that have their place in the lane, and those that
// are not due yet.
func compareTurns(a, b OpenChange) int {
	turn := func(c OpenChange) int {
		switch {
		case c.running:
			return 0
		case c.inLane:
			return 1
		}
		return 2
	}
	order := cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(turn(a), turn(b)))
	if turn(a) == 2 {
		order = cmp.Or(order, cmp.Compare(a.notBefore, b.notBefore))
	}
	return cmp.Or(order, cmp.Compare(a.ID, b.ID))
}
