package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Forever is how long a pause without an end lasts.
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Scope is a service, or one instance of it, whose jobs wait.
type Scope struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"` // "" is the whole service
	Until    time.Time `json:"until"`    // Forever when only a person ends it
	Parked   bool      `json:"parked"`   // by the engine, after a refusal of the remote
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
}

// Scopes lists the pauses in force.
func (r *Reader) Scopes(ctx context.Context) ([]Scope, error) {
	var list []Scope
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var p Scope
		var until, since int64
		err := rows.Scan(&p.Service, &p.Instance, &until, &p.Parked, &p.By, &since, &p.Reason)
		p.Until, p.Since = sqlkit.FromMicros(until), sqlkit.FromMicros(since)
		list = append(list, p)
		return err
	}, "SELECT service, instance, paused_until, parked, paused_by, created_at, reason FROM nawasync_scopes WHERE paused_until > ? ORDER BY service, instance",
		r.Now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read the paused scopes: %w", err)
	}
	return list, nil
}
