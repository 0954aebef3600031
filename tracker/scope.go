package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Forever is the end of a pause that lasts until an operator resumes the scope.
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Scope is a paused or parked service, or a part of it: an instance, or the first components of
// instances. Its jobs wait.
type Scope struct {
	Service string `json:"service"`
	// Instance is the instance, or its first components, which slashes separate: "a/b" stops the jobs of
	// "a/b" and "a/b/c", and not those of "a/bc". "" is the whole service.
	Instance string `json:"instance"`
	// Until is Forever if the scope waits for an operator. If Probes is not 0, one job of the scope runs
	// then, and the others go on once it has shown that the remote works again.
	Until  time.Time `json:"until"`
	Parked bool      `json:"parked"` // the engine parked it because the remote refused a request; otherwise an operator paused it
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	// ErrorClass is the class of the error that parked the scope: credentials, unavailable or rate_limited. ""
	// if an operator paused it.
	ErrorClass string    `json:"error_class,omitempty"`
	Since      time.Time `json:"since"`
	// RetryAfter is until when the remote has asked to wait, at least: Resume does not end that. Zero if
	// the remote has not asked for it.
	RetryAfter time.Time `json:"retry_after,omitzero"`
	// Probes is not 0 if the remote has refused the credentials or cannot be reached: the number of the next
	// probe.
	Probes int `json:"probes,omitempty"`
}

// Covers reports whether the scope stops the jobs of an instance.
func (s Scope) Covers(service, instance string) bool {
	return s.Service == service && sqlkit.Covers(s.Instance, instance)
}

// Scopes lists the scopes that are paused or parked now.
func (r *Reader) Scopes(ctx context.Context) ([]Scope, error) {
	var list []Scope
	now := r.Now().UnixMicro()
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var s Scope
		var until, since, limited int64
		var class sql.NullString
		err := rows.Scan(&s.Service, &s.Instance, &until, &s.Parked, &s.By, &since, &s.Reason, &class, &limited, &s.Probes)
		s.Until, s.Since = sqlkit.FromMicros(max(until, limited)), sqlkit.FromMicros(since)
		if s.Parked {
			s.ErrorClass = jobrow.ParkClass(class, s.Reason)
		}
		if limited > now {
			s.RetryAfter = sqlkit.FromMicros(limited)
		}
		if !r.limit.showsScope(s.Service, s.Instance) {
			return err
		}
		if !r.limit.shows(s.Service, s.Instance) || s.Instance == "" && !r.limit.showsWhole(s.Service) {
			s.Reason = "" // it may name instances that the caller must not see
		}
		list = append(list, s)
		return err
	}, "SELECT service, instance, paused_until, parked, paused_by, created_at, reason, class, limited_until, probes FROM nawasync_scopes WHERE "+stopsJobs+
		" ORDER BY service, instance", now, now)
	if err != nil {
		return nil, fmt.Errorf("list paused scopes: %w", err)
	}
	return list, nil
}

// stopsJobs is a condition: a row of nawasync_scopes stops jobs now. Its parameters are (now, now).
const stopsJobs = "(paused_until > ? OR limited_until > ? OR probes > 0)"
