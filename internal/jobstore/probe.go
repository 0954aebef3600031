package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Once a remote has refused the credentials of a scope, its jobs wait until one of them, the probe, shows
// that the remote accepts them again. paused_until is then when the next probe may start; a process that
// starts one moves it on, so that others do not.

// probeWait returns how long after a refusal the next probe may start.
func probeWait(probes int) time.Duration {
	steps := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	return steps[min(max(probes, 1), len(steps))-1]
}

const (
	// maxProbe is how long other processes leave a probe alone: its process may have died.
	maxProbe = 10 * time.Minute
	// probeAgain is how long after a probe that showed nothing the next one may start.
	probeAgain = time.Minute
	// probeLater is when to look again after no job could be claimed for a probe.
	probeLater = time.Second
)

// ClaimProbe claims one job of a stream whose scopes wait for a probe. It claims none if another process
// was faster.
func (s *Store) ClaimProbe(ctx context.Context, worker string, look Look) (*Claimed, error) {
	now := s.Now()
	taken, err := s.moveProbe(
		ctx,
		look.Stream,
		now.Add(min(max(look.Timeout, probeAgain), maxProbe)),
		" AND paused_until <= ? AND limited_until <= ?",
		now.UnixMicro(),
		now.UnixMicro(),
	)
	if err != nil || !taken {
		return &Claimed{}, err
	}
	look.Probe = true
	claimed, err := s.ClaimDue(ctx, worker, []Look{look}, 1)
	if err == nil && len(claimed.Jobs) == 0 {
		_, err = s.moveProbe(ctx, look.Stream, now.Add(probeLater), "")
	}
	if err != nil {
		return claimed, err
	}
	for _, job := range claimed.Jobs {
		job.Probe = true
	}
	return claimed, nil
}

// EndProbe ends a probe. If the remote has accepted the credentials, the jobs of the scopes go on; else
// another probe follows.
func (s *Store) EndProbe(ctx context.Context, stream Stream, accepted bool) (err error) {
	if !accepted {
		_, err = s.moveProbe(ctx, stream, s.Now().Add(probeAgain), "")
		return err
	}
	err = s.transaction(ctx, func(conn *sqlkit.Conn) error {
		_, err := s.endPause(conn, probedScopes, []any{stream.Service, sqlkit.ScopesOf(stream.Instance)})
		return err
	})
	if err != nil {
		return fmt.Errorf("resume the scopes of %s/%s after a probe: %w", stream.Service, stream.Instance, err)
	}
	return nil
}

const probedScopes = " WHERE service = ? AND instance IN ? AND probes > 0"

// moveProbe sets when the next probe of the stream's scopes may start.
func (s *Store) moveProbe(ctx context.Context, stream Stream, at time.Time, fence string, args ...any) (moved bool, err error) {
	args = append([]any{at.UnixMicro(), stream.Service, sqlkit.ScopesOf(stream.Instance)}, args...)
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_scopes SET paused_until = ?"+probedScopes+fence, args...)
		moved = done.RowsAffected > 0
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("set the next probe of %s/%s: %w", stream.Service, stream.Instance, err)
	}
	return moved, nil
}
