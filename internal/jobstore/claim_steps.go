package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// candidate is a row of the claim index that a claim looks at.
type candidate struct {
	look   int
	mark   Mark
	epoch  int
	lane   int64
	behind bool // an earlier job of its lane is open
	busy   bool // another job of its lane runs
}

// claimInSteps claims on MySQL and SQLite, which cannot do it in one statement. On MySQL the steps
// are one transaction, in which the rows stay locked. On SQLite they are not, so that a claim
// without jobs needs no write lock: the UPDATE checks again whether the jobs may run.
func (s *Store) claimInSteps(ctx context.Context, worker string, looks []Look, limit int) (result *Claimed, err error) {
	now := s.Now().UnixMicro()
	if s.dialect.Name == "sqlite" {
		rows, err := s.candidates(s.DB(ctx), looks, limit, now)
		if err != nil {
			return nil, err
		}
		var winners []candidate
		result, winners = sortCandidates(rows, looks, now)
		s.reachMoment(MomentClaiming)
		if len(winners) == 0 {
			return result, nil
		}
		return result, s.exec(ctx, func(conn *sqlkit.Conn) error { return s.startWinners(conn, worker, looks, winners, now, result) })
	}
	err = s.frequentTransaction(ctx, func(conn *sqlkit.Conn) error {
		rows, err := s.candidates(conn, looks, limit, now)
		if err != nil {
			return err
		}
		var winners []candidate
		result, winners = sortCandidates(rows, looks, now)
		s.reachMoment(MomentClaiming)
		if len(winners) == 0 {
			return nil
		}
		return s.startWinners(conn, worker, looks, winners, now, result)
	})
	return result, err
}

// sortCandidates separates those that may start from those whose lane is not free.
func sortCandidates(rows []candidate, looks []Look, now int64) (result *Claimed, winners []candidate) {
	result = &Claimed{Looks: make([]LookResult, len(looks))}
	slices.SortStableFunc(rows, func(a, b candidate) int { return cmp.Compare(a.mark.ID, b.mark.ID) })
	lanes := map[int64]bool{}
	for _, c := range rows {
		result.found(c.look, c.mark, now)
		switch {
		case c.mark.WakeAt > now:
		case c.behind || c.busy || lanes[c.lane]:
			result.Blocked = append(result.Blocked, Blocked{c.mark.ID, c.epoch, c.lane})
		default:
			lanes[c.lane] = true
			winners = append(winners, c)
		}
	}
	return result, winners
}

// maxUnion is how many streams one statement reads. MySQL needs a SELECT for each: it does not use
// the order of the index for a join with LIMIT.
const maxUnion = 8

// candidates reads the first rows of each stream. On MySQL it locks them.
func (s *Store) candidates(conn *sqlkit.Conn, looks []Look, limit int, now int64) (list []candidate, err error) {
	for first := 0; first < len(looks) && err == nil; first += maxUnion {
		query, args := s.candidatesQuery(looks, first, min(len(looks), first+maxUnion), limit, now)
		err = sqlkit.Each(conn, func(rows *sql.Rows) error {
			var c candidate
			err := rows.Scan(&c.look, &c.mark.ID, &c.epoch, &c.lane, &c.mark.WakeAt, &c.behind, &c.busy)
			list = append(list, c)
			return err
		}, query, args...)
	}
	return list, err
}

func (s *Store) candidatesQuery(looks []Look, first, end, limit int, now int64) (query string, args []any) {
	table, queue := s.dialect.ClaimRows()
	parts := make([]string, 0, end-first)
	for i := first; i < end; i++ {
		l := looks[i]
		part := "SELECT ? AS n, j.id, j.epoch, j.lane, j.wake_at, " + s.dialect.Behind() + " AS behind, " + sqlkit.LaneBusy + " AS busy FROM " + table +
			" WHERE " + queue + " = ? AND j.service = ? AND j.type = ? AND j.action = ? AND j.instance = ? AND j.wake_at >= ? AND (j.wake_at > ? OR j.id > ?)" +
			" AND " + claimable("?", "p.instance IN ?", "? = 0") +
			" ORDER BY j.wake_at, j.id LIMIT ?" + s.dialect.SkipLocked()
		args = append(
			args,
			i,
			l.Queue,
			l.Service,
			l.Type,
			l.Action,
			l.Instance,
			l.After.WakeAt,
			l.After.WakeAt,
			l.After.ID,
			l.Service,
			sqlkit.ScopesOf(l.Instance),
			now,
			now,
			l.probe(),
			limit,
		)
		if s.dialect.Name == "sqlite" {
			parts = append(parts, "SELECT * FROM ("+part+")")
		} else {
			parts = append(parts, "("+part+")")
		}
	}
	return strings.Join(parts, " UNION ALL "), args
}

// startWinners marks the winners running and reads them.
func (s *Store) startWinners(conn *sqlkit.Conn, worker string, looks []Look, winners []candidate, now int64, result *Claimed) error {
	ids := make([]int64, len(winners))
	deadline, args := " END", []any{now, now, worker}
	for i, l := range looks {
		deadline = " WHEN ? THEN CAST(? AS " + sqlkit.Pick(s.dialect.Name == "mysql", "SIGNED", "INTEGER") + ")" + deadline
		_ = i
		args = append(args, l.Kind(), now+l.Timeout.Microseconds())
	}
	for i, w := range winners {
		ids[i] = w.mark.ID
	}
	// Without the index, MySQL would scan a small table and meet the locked rows of others.
	update := "nawasync_jobs AS j" + sqlkit.Pick(s.dialect.Name == "mysql", " FORCE INDEX (PRIMARY)", "") +
		" SET " + setRunning + ", deadline_at = CASE " + s.dialect.KindText() + deadline + " WHERE j.id IN ? AND j.status = 'queued'"
	args = append(args, ids)
	collect := func(rows *sql.Rows) error {
		row, err := jobrow.Scan(rows, true)
		if err == nil {
			result.Jobs = append(result.Jobs, jobOf(row))
		}
		return err
	}
	if s.dialect.Name == "sqlite" {
		return sqlkit.Each(conn, collect, "UPDATE "+update+" AND j.wake_at <= ? AND "+s.dialect.Behind()+" = 0 AND "+sqlkit.LaneBusy+" = 0 RETURNING "+
			strings.ReplaceAll(jobrow.Columns(true), "j.", ""), append(args, now)...)
	}
	// IGNORE leaves out a job whose lane another process has just taken.
	if err := conn.Exec(s.withoutLockWait("UPDATE IGNORE "+update), args...).Error; err != nil {
		return err
	}
	return sqlkit.Each(
		conn,
		collect,
		"SELECT "+jobrow.Columns(true)+" FROM nawasync_jobs j WHERE j.id IN ? AND j.status = 'running' AND j.worker = ?",
		ids,
		worker,
	)
}
