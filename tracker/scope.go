package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Forever is the end of a pause that lasts until an operator resumes the scope.
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Scope is a paused or parked service, or one instance of it. Its jobs wait.
type Scope struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"` // "" is the whole service
	Until    time.Time `json:"until"`    // Forever if the scope waits for an operator
	Parked   bool      `json:"parked"`   // the engine parked it because the remote refused a request; otherwise an operator paused it
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
}

// Scopes lists the scopes that are paused or parked now.
func (r *Reader) Scopes(ctx context.Context) ([]Scope, error) {
	var list []Scope
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var s Scope
		var until, since int64
		err := rows.Scan(&s.Service, &s.Instance, &until, &s.Parked, &s.By, &since, &s.Reason)
		s.Until, s.Since = sqlkit.FromMicros(until), sqlkit.FromMicros(since)
		if !r.limit.showsScope(s.Service, s.Instance) {
			return err
		}
		if s.Instance == "" && !r.limit.showsWhole(s.Service) {
			s.Reason = "" // it may name instances that the caller must not see
		}
		list = append(list, s)
		return err
	}, "SELECT service, instance, paused_until, parked, paused_by, created_at, reason FROM nawasync_scopes WHERE paused_until > ? ORDER BY service, instance",
		r.Now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list paused scopes: %w", err)
	}
	return list, nil
}
