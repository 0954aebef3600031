package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"
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

// Pause sets or replaces a scope's pause. A parked scope never shortens or
// replaces a pause that a person set.
func (s *Store) Pause(ctx context.Context, p Scope) error {
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		remove := "DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?"
		args := []any{p.Service, p.Instance}
		if p.Parked {
			remove += " AND (parked = ? OR paused_until <= ?)"
			args = append(args, true, s.Now().UnixMicro())
		}
		if err := tx.Exec(remove, args...).Error; err != nil {
			return err
		}
		insert := s.insertIgnore() +
			" nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?)" +
			s.onConflict()
		return tx.Exec(insert, p.Service, p.Instance, p.Until.UnixMicro(), p.Parked, CleanText(p.By, 255), s.Now().UnixMicro(), CleanText(p.Reason, MaxError)).Error
	})
	if err != nil {
		return fmt.Errorf("nawasync: pause %s/%s: %w", p.Service, p.Instance, err)
	}
	return nil
}

// Resume ends the pause of a scope, and has its waiting jobs looked at again. It
// reports whether there was one.
func (s *Store) Resume(ctx context.Context, service, instance string) (bool, error) {
	found := false
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		done := tx.Exec("DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?", service, instance)
		if found = done.RowsAffected > 0; done.Error != nil {
			return done.Error
		}
		// The ring, too: whoever read the pause before it ended can no longer put a job off.
		wake := "UPDATE nawasync_jobs SET ring = ring + 1, rung_at = NULL, wake_at = not_before WHERE status = 'queued' AND open_lane IS NOT NULL AND wake_at IS NOT NULL AND service = ?"
		args := []any{service}
		if instance != "" {
			wake += " AND instance = ?"
			args = append(args, instance)
		}
		return tx.Exec(wake, args...).Error
	})
	if err != nil {
		return false, fmt.Errorf("nawasync: resume %s/%s: %w", service, instance, err)
	}
	return found, nil
}

// Scopes lists the pauses in force.
func (s *Store) Scopes(ctx context.Context) ([]Scope, error) {
	var list []Scope
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var p Scope
		var until, since int64
		err := rows.Scan(&p.Service, &p.Instance, &until, &p.Parked, &p.By, &since, &p.Reason)
		p.Until, p.Since = fromMicros(until), fromMicros(since)
		list = append(list, p)
		return err
	}, "SELECT service, instance, paused_until, parked, paused_by, created_at, reason FROM nawasync_scopes WHERE paused_until > ? ORDER BY service, instance", s.Now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the paused scopes: %w", err)
	}
	return list, nil
}
