package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// MaxListedScopes is how many scopes ListedScopes returns.
const MaxListedScopes = 10_000

// ListedScope is a scope of a repository with mirror.Config.Scopes: a row of another repository is, or was,
// this scope.
type ListedScope struct {
	Service  string    `json:"service"`
	Type     string    `json:"type"`
	Instance string    `json:"instance"` // Target.Instance of the scope's jobs
	ListedAt time.Time `json:"listed_at"`
	GoneAt   time.Time `json:"gone_at,omitzero"` // since when the scope is gone; zero while it is listed
}

// Gone reports whether the scope is gone: its rows are hidden, and nothing syncs it.
func (s ListedScope) Gone() bool { return !s.GoneAt.IsZero() }

// ListedScopes lists up to MaxListedScopes scopes of repositories with mirror.Config.Scopes, by service, type
// and instance. Those that are gone are among them until their rows are removed, 30 days later.
func (r *Reader) ListedScopes(ctx context.Context) ([]ListedScope, error) {
	var list []ListedScope
	visible, args := r.limitCondition("nawasync_listed_scopes")
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var s ListedScope
		var listed, gone int64
		err := rows.Scan(&s.Service, &s.Type, &s.Instance, &listed, &gone)
		s.ListedAt, s.GoneAt = sqlkit.FromMicros(listed), sqlkit.FromMicros(gone)
		list = append(list, s)
		return err
	}, "SELECT service, type, instance, listed_at, gone_at FROM nawasync_listed_scopes WHERE "+visible+" ORDER BY service, type, instance LIMIT ?",
		append(args, MaxListedScopes)...)
	if err != nil {
		return nil, fmt.Errorf("list the scopes of repositories: %w", err)
	}
	return list, nil
}
