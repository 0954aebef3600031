package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Once a remote has refused the credentials of a scope, or cannot be reached, the jobs of the scope wait until
// one of them, the probe, shows that the remote works again. paused_until is then when the next probe may start;
// a process that starts one moves it on, so that others do not.

// probeWait returns how long after the error of a class the next probe may start. An outage often ends by itself;
// credentials do so seldom, and some remotes lock an account after a few refusals.
func probeWait(class fault.Class, probes int) time.Duration {
	steps := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	if class == fault.ClassUnavailable {
		steps = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}
	}
	return steps[min(max(probes, 1), len(steps))-1]
}

const (
	// maxProbe is how long other processes leave a probe alone: its process may have died.
	maxProbe = 10 * time.Minute
	// minProbe is how long other processes leave a probe alone at least.
	minProbe = time.Minute
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
		now.Add(min(max(look.Timeout, minProbe), maxProbe)),
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

// EndProbe ends a probe. If it has shown that the remote works again, the jobs of the scopes go on, except
// during a wait that the remote has asked for; else another probe follows.
func (s *Store) EndProbe(ctx context.Context, stream Stream, works bool) (err error) {
	of := []any{stream.Service, sqlkit.ScopesOf(stream.Instance)}
	now := s.Now()
	err = retryTx(ctx, func() error {
		return s.transaction(ctx, func(conn *sqlkit.Conn) error {
			if !works {
				return s.probeAgain(conn, stream, now)
			}
			if err := s.endPause(conn, probedScopes+" AND limited_until <= ?", append(of, now.UnixMicro())); err != nil {
				return err
			}
			return conn.Exec("UPDATE nawasync_scopes SET reason = ?, class = ?, paused_until = limited_until, probes = 0"+probedScopes,
				append([]any{askedToWait, string(fault.ClassRateLimited)}, of...)...).Error
		})
	})
	if err != nil {
		return fmt.Errorf("end the probe of the scopes of %s/%s: %w", stream.Service, stream.Instance, err)
	}
	return nil
}

// probeAgain sets the time of the next probe after one that has shown nothing.
func (s *Store) probeAgain(conn *sqlkit.Conn, stream Stream, now time.Time) error {
	for _, instance := range sqlkit.ScopesOf(stream.Instance) {
		row, err := s.lockScope(conn, stream.Service, instance)
		if err != nil {
			return err
		}
		if row.Probes == 0 {
			continue
		}
		wait := time.Minute
		if class := fault.Class(row.ErrorClass); class == fault.ClassUnavailable {
			wait = probeWait(class, row.Probes)
		}
		row.Until = later(now.Add(wait), sqlkit.FromMicros(row.limited))
		if err := s.updateScope(conn, row); err != nil {
			return err
		}
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
