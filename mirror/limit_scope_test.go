package mirror_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestARateLimitOfOneZoneParksItsAccountAndNoOther(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newZonedShop(t, db, nil)
		limited := false
		s.answer(func(string, zoned) error {
			if limited {
				return nil
			}
			limited = true
			return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 2 * time.Hour, Err: errors.New("HTTP 429")}
		})
		for _, job := range s.syncAll() {
			s.ends(job, tracker.StatusSuccess, "")
		}
		for call, want := range map[string][]time.Duration{"list a/x": {0, 2 * time.Hour}, "list a/y": {2 * time.Hour}, "list ab/x": {0}} {
			if got := s.calls[call]; !slices.Equal(got, want) {
				t.Errorf("%s at %v, want %v", call, got, want)
			}
		}
	})
}

func TestRefusedCredentialsParkTheAccountAndAreProbedUntilTheyAreAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newZonedShop(t, db, nil)
		refused := 0
		s.answer(func(_ string, key zoned) error {
			if key.Account != "a" || refused == 5 {
				return nil
			}
			refused++
			return fault.WithClass(fault.ClassCredentials, errors.New("HTTP 401"))
		})
		for _, job := range s.syncAll() {
			s.ends(job, tracker.StatusSuccess, "")
		}
		calls := slices.Sorted(slices.Values(append(s.calls["list a/x"], s.calls["list a/y"]...)))
		want := []time.Duration{0, time.Minute, 6 * time.Minute, 21 * time.Minute, 81 * time.Minute, 141 * time.Minute, 141 * time.Minute}
		if !slices.Equal(calls, want) || !slices.Equal(s.calls["list ab/x"], []time.Duration{0}) {
			t.Errorf("the zones of account a were listed at %v, want %v; calls %v", calls, want, s.calls)
		}
		s.noScopes()
	})
}

func TestForbiddenObjectFailsItsJobAloneAndItsDeletionIsNotConfirmed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newZonedShop(t, db, nil)
		s.answer(func(call string, key zoned) error {
			if key.Name == "ax1" || call == "list" && key.Zone == "y" {
				return fault.WithClass(fault.ClassForbidden, errors.New("HTTP 403"))
			}
			return nil
		})
		change := func(o *zoned) { o.Content = "new" }
		job := s.drain(s.Update(t.Context(), s.rowOf("ax1"), change, byUser))
		s.ends(job, tracker.StatusFailed, "HTTP 403")
		if job.ErrorClass != "forbidden" || job.Attempt != 1 {
			t.Errorf("job %+v, want one attempt of class forbidden", job)
		}
		s.ends(s.drain(s.Delete(t.Context(), s.rowOf("ax1"), byUser)), tracker.StatusFailed, "HTTP 403")
		s.ends(s.drain(s.Update(t.Context(), s.rowOf("ax2"), change, byUser)), tracker.StatusSuccess, "")
		s.noScopes()

		hidden := s.remote.objects["ax1"]
		delete(s.remote.objects, "ax1")
		s.clock.Advance(time.Minute)
		jobs := s.syncAll()
		s.ends(jobs[0], tracker.StatusSuccess, "")
		s.ends(jobs[1], tracker.StatusFailed, "HTTP 403")
		if s.rowOf("ax1").State != nawasync.StateMissing || s.rowOf("ay").State != nawasync.StateSynced {
			t.Errorf("rows %+v, want ax1 missing and ay synced", s.rows())
		}
		confirms, err := s.engine.Reader().
			Search(t.Context(), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldAction, Values: []string{tracker.ConfirmAction}}}, Limit: 10})
		enginetest.NoError(t, err)
		if len(confirms.Jobs) != 1 || confirms.Jobs[0].ErrorClass != "forbidden" || confirms.Jobs[0].Attempt != 1 {
			t.Errorf("confirmations %+v, want one that failed at once", confirms.Jobs)
		}
		s.noScopes()
		s.remote.objects["ax1"] = hidden
		s.sync(zonedScopes[0])
		if s.rowOf("ax1").State != nawasync.StateSynced {
			t.Errorf("row %+v, want it synced again", s.rowOf("ax1"))
		}
	})
}

// checkedZoned is a remote that can check its credentials.
type checkedZoned struct {
	*zonedRemote

	check func(zoned) error
}

func (r checkedZoned) CheckCredentials(_ context.Context, scope zoned) error { return r.check(scope) }

func TestForbiddenWithRefusedCredentialsParksTheAccount(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var check error
		var asked []zoned
		s := newZonedShop(t, db, func(r *zonedRemote) mirror.Remote[zoned] {
			return checkedZoned{r, func(scope zoned) error {
				asked = append(asked, scope)
				return check
			}}
		})
		forbidden := true
		s.answer(func(string, zoned) error {
			if forbidden {
				return fault.WithClass(fault.ClassForbidden, errors.New("HTTP 403"))
			}
			return nil
		})
		for range 2 {
			job := s.drain(s.Refresh(t.Context(), int64(s.rowOf("ax1").ID), byUser))
			s.ends(job, tracker.StatusFailed, "HTTP 403")
		}
		if len(asked) != 1 || asked[0] != (zoned{Account: "a", Zone: "x"}) {
			t.Errorf("the credentials were checked for %+v, want once for the scope", asked)
		}
		s.noScopes()

		s.clock.Advance(time.Minute)
		check = errors.New("the token is not active")
		job, err := s.Refresh(t.Context(), int64(s.rowOf("ax1").ID), byUser)
		enginetest.NoError(t, err)
		other, err := s.Refresh(t.Context(), int64(s.rowOf("ay").ID), byUser)
		enginetest.NoError(t, err)
		began := s.clock.Now()
		stop := s.remote.before
		s.remote.before = func(call string, key zoned) error {
			if s.clock.Now().Sub(began) > 10*time.Second {
				forbidden = false
				scopes, err := s.engine.Reader().Scopes(t.Context())
				enginetest.NoError(t, err)
				if key.Name == "ax1" &&
					(len(scopes) != 1 || scopes[0].Instance != "a" || scopes[0].Probes != 1 || !strings.Contains(scopes[0].Reason, "not active")) {
					t.Errorf("scopes %+v, want account a parked for its credentials", scopes)
				}
			}
			return stop(call, key)
		}
		s.ends(s.drain(job, nil), tracker.StatusSuccess, "")
		if other = s.job(other.ID); other.Status != tracker.StatusSuccess || other.StartedAt.Before(began.Add(time.Minute)) {
			t.Errorf("the other zone's job %+v, want it to wait for the probe", other)
		}

		check = fault.WithClass(fault.ClassTransient, errors.New("HTTP 502"))
		forbidden = true
		s.clock.Advance(time.Hour)
		s.answer(func(string, zoned) error { return fault.WithClass(fault.ClassForbidden, errors.New("HTTP 403")) })
		failed := s.drain(s.Refresh(t.Context(), int64(s.rowOf("ax2").ID), byUser))
		if s.ends(failed, tracker.StatusFailed, "HTTP 502"); failed.Attempt != 3 {
			t.Errorf("%d attempts, want 3: the check answered nothing", failed.Attempt)
		}
	})
}

// namedZoned is a remote that names its limit scope.
type namedZoned struct {
	*zonedRemote

	name func(zoned) zoned
}

func (r namedZoned) LimitScope(scope zoned) zoned { return r.name(scope) }

func TestTheRemoteNamesTheLimitScope(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var named zoned
		s := newZonedShop(t, db, func(r *zonedRemote) mirror.Remote[zoned] {
			return namedZoned{r, func(scope zoned) zoned {
				if named.Name == "scope" {
					return scope
				}
				return named
			}}
		})
		for _, c := range []struct {
			named zoned
			want  string
		}{
			{zoned{}, ""},
			{zoned{Name: "scope"}, "a/x"},
			{zoned{Account: "a"}, "a"},
			{zoned{Zone: "x"}, "a/x"},
			{zoned{Account: "b"}, "a/x"}, // invalid: the scope itself is parked
		} {
			named = c.named
			limited := false
			s.answer(func(string, zoned) error {
				if limited {
					return nil
				}
				limited = true
				return fault.WithClass(fault.ClassRateLimited, errors.New("HTTP 429"))
			})
			s.ends(s.drain(s.Refresh(t.Context(), int64(s.rowOf("ax1").ID), byUser)), tracker.StatusSuccess, "")
			var got string
			enginetest.NoError(t, db.Raw("SELECT instance FROM nawasync_scopes WHERE service = 'api'").Scan(&got).Error)
			if got != c.want {
				t.Errorf("LimitScope %+v parks %q, want %q", c.named, got, c.want)
			}
			enginetest.NoError(t, db.Exec("DELETE FROM nawasync_scopes").Error)
		}
	})
}
