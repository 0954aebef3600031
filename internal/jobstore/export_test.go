package jobstore

import (
	"context"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// LaneHeadsQuery and BehindQuery return the statements whose cost a test measures.
func (s *Store) LaneHeadsQuery() string { return s.dialect.LaneHeads() }

func (s *Store) BehindQuery() string {
	return "SELECT j.id, " + s.dialect.Behind() + " FROM nawasync_jobs j WHERE j.id = ?"
}

// ClaimQuery returns the statement of a claim on PostgreSQL and its parameters.
func (s *Store) ClaimQuery(looks ...Look) (query string, args []any) {
	text, _ := lookRows(looks)
	now := s.Now().UnixMicro()
	return s.claimText(), []any{text, now, now, looks[0].Queue, 1, now, now, now, "w", now}
}

// StreamsQuery returns the statement of ListStreams, and the Conn on which it runs.
func (s *Store) StreamsQuery(ctx context.Context, from []Stream) (conn *sqlkit.Conn, query string, args []any, err error) {
	query, args, err = s.streamsQuery(from, 10)
	return s.background(ctx), query, args, err
}
