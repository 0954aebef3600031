package dns_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestNewZoneIsSyncedAndThatOfARemovedOneIsRetiredWithoutARestart(t *testing.T) {
	onEveryDatabase(t, 40, func(w *world) {
		w.syncAll()
		for zone, want := range map[string]int{"alpha.example": 40, "bravo.example": 4, "shop.example": 4} {
			if got := len(w.rows(zone)); got != want {
				w.t.Fatalf("the zone %s has %d rows, want %d", zone, got, want)
			}
		}
		_, err := w.server.AddZone("main", "delta.example", 7)
		w.noError(err)
		_, err = w.Records.SyncNow(w.t.Context(), dns.Record{}, "", byAnn) // what the schedule does
		w.noError(err)
		w.drain()
		if got := len(w.rows("delta.example")); got != 7 {
			w.t.Errorf("the new zone has %d rows, want 7", got)
		}
		gone := w.scope("bravo.example")
		w.noError(w.server.RemoveZone("bravo.example"))
		syncZones := func() {
			_, err := w.Zones.SyncNow(w.t.Context(), dns.Zone{Token: "main", Account: w.server.AccountID("main")}, "", byAnn)
			w.noError(err)
			w.drain()
		}
		syncZones()
		if got := len(w.rowsOf(gone)); got != 4 {
			w.t.Errorf("after one listing without the zone it has %d rows, want all 4", got)
		}
		syncZones() // the second listing has the zone confirmed, and its records retired
		if got := len(w.rowsOf(gone)); got != 0 {
			w.t.Errorf("the removed zone still shows %d rows", got)
		}
		if got := len(w.rowsOf(gone, tracker.StateDeleted)); got != 4 {
			w.t.Errorf("%d rows of the removed zone are kept as deleted, want 4", got)
		}
		if _, err := w.Records.SyncNow(w.t.Context(), gone, "", byAnn); !errors.Is(err, mirror.ErrScopeGone) {
			w.t.Errorf("a sync of the removed zone returns %v, want ErrScopeGone", err)
		}
		if got := len(w.rows("alpha.example")); got != 40 {
			w.t.Errorf("another zone has %d rows, want 40", got)
		}
	})
}

func TestZonesFollowTheAccountsAndRecordsTheZones(t *testing.T) {
	onEveryDatabase(t, 9, func(w *world) {
		w.syncAll()
		id, err := w.server.AddAccount("main", "labs", 5, "labs.example")
		w.noError(err)
		labs := dns.Record{Token: "main", Account: id, Zone: w.server.ZoneID("labs.example")}
		w.syncAll()
		if got := len(w.rowsOf(labs)); got != 5 {
			w.t.Errorf("the zone of the new account has %d rows, want 5", got)
		}
		w.noError(w.server.RemoveAccount("labs"))
		for range 2 { // the second listing without the account has it confirmed
			_, err := w.Accounts.SyncNow(w.t.Context(), dns.Account{Token: "main"}, "", byAnn)
			w.noError(err)
			w.drain()
		}
		_, zoneErr := w.Zones.FindKey(w.t.Context(), dns.Zone{Token: "main", Account: id, ZoneID: labs.Zone})
		if shown, kept := len(w.rowsOf(labs)), len(w.rowsOf(labs, tracker.StateDeleted)); !errors.Is(zoneErr, nawasync.ErrNotFound) || shown != 0 || kept != 5 {
			w.t.Errorf("of the removed account the zone is found with %v, %d records are shown and %d kept; want none, 0 and 5", zoneErr, shown, kept)
		}
		if got := len(w.rows("alpha.example")); got != 9 {
			w.t.Errorf("a zone of the other account has %d rows, want 9", got)
		}
	})
}

func TestForbiddenZoneParksNothingAndKeepsItsRows(t *testing.T) {
	onEveryDatabase(t, 40, func(w *world) {
		w.syncAll()
		w.noError(w.server.Forbid("bravo.example", true))
		var jobs []*tracker.Job
		for _, zone := range []string{"bravo.example", "alpha.example", "carol.example"} {
			job, err := w.Records.SyncNow(w.t.Context(), w.scope(zone), "", byAnn)
			w.noError(err)
			jobs = append(jobs, job)
		}
		w.drain()
		w.want(jobs[0], tracker.StatusFailed, "10000 Authentication error")
		w.want(jobs[1], tracker.StatusSuccess, `"unchanged":40`)
		w.want(jobs[2], tracker.StatusSuccess, `"unchanged":4`)
		scopes, err := w.engine.Reader().Scopes(w.t.Context())
		w.noError(err)
		if len(scopes) != 0 || len(w.rows("bravo.example")) != 4 {
			w.t.Errorf("%d scopes are parked, and %d rows of the zone are left; want none and 4", len(scopes), len(w.rows("bravo.example")))
		}
	})
}

func TestRevokedTokenParksItsAccountOnceAndNotTheOther(t *testing.T) {
	for name, status := range map[string]int{"with status 401": http.StatusUnauthorized, "with status 403": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			onSQLite(t, 9, func(w *world) {
				w.syncAll()
				w.noError(w.server.Revoke("main", status))
				perJob := int64(1)
				if status == http.StatusForbidden {
					perJob = 2 // the call, and the check of the token
				}
				w.onRefused = func(n int64) {
					if n == 3*perJob { // the first job and two probes
						scopes, err := w.engine.Reader().Scopes(w.t.Context())
						w.noError(err)
						if len(scopes) != 1 || scopes[0].Instance != "main" || !scopes[0].Parked {
							w.t.Errorf("parked are %+v, want the account main alone", scopes)
						}
						w.noError(w.server.Revoke("main", 0))
					}
				}
				var jobs []*tracker.Job
				for range 3 {
					for _, zone := range []string{"alpha.example", "bravo.example", "carol.example", "shop.example"} {
						job, err := w.Records.Create(w.t.Context(), w.record(zone, len(jobs)), byAnn)
						w.noError(err)
						jobs = append(jobs, job)
					}
				}
				w.drain()
				for _, job := range jobs {
					w.want(job, tracker.StatusSuccess, "")
				}
				if got := w.refused.Load(); got != 3*perJob {
					w.t.Errorf("%d calls were refused, want %d: one job and two probes, not one for each zone", got, 3*perJob)
				}
			})
		})
	}
}

func TestFailingPagePrunesNothing(t *testing.T) {
	for name, fault := range map[string]sim.Fault{
		"cut off":         {Mode: sim.ModeCut},
		"502":             {Mode: sim.ModeHTML},
		"HTML":            {Mode: sim.ModeHTML, Status: http.StatusOK},
		"forbidden":       {Mode: sim.ModeForbidden},
		"without a count": {Mode: sim.ModeNoTotal},
	} {
		t.Run(name, func(t *testing.T) {
			onSQLite(t, 1100, func(w *world) {
				w.syncAll()
				for _, r := range w.server.Records("alpha.example")[:5] {
					w.noError(w.server.Remove("alpha.example", r.ID))
				}
				fault.Operation, fault.Zone = sim.OpRecords, "alpha.example"
				if fault.Mode != sim.ModeNoTotal { // each page lacks it
					fault.Page = 2
				}
				w.noError(w.server.Inject(fault))
				for range 3 {
					w.sync()
				}
				if rows := w.rows("alpha.example", nawasync.StateSynced); len(rows) != 1100 {
					w.t.Errorf("%d rows are synced, want all 1100", len(rows))
				}
				w.server.Clear()
				w.sync()
				w.sync() // the second complete listing has them confirmed
				if got := len(w.rows("alpha.example")); got != 1095 {
					w.t.Errorf("once the pages are complete there are %d rows, want 1095", got)
				}
			})
		})
	}
}

func TestFiveThousandRecordsOfAZoneAreMirrored(t *testing.T) {
	onSQLite(t, 5000, func(w *world) {
		w.syncAll()
		before := w.server.Calls(sim.OpRecords)
		job := w.sync()
		w.want(job, tracker.StatusSuccess, `"listed":5000,"created":0,"updated":0,"unchanged":5000`)
		w.want(job, tracker.StatusSuccess, `"proof":"counted"`)
		if calls := w.server.Calls(sim.OpRecords) - before; calls != 5 {
			w.t.Errorf("the listing took %d calls, want 5", calls)
		}
	})
}

func TestBlockedTokenWaitsWithoutLosingAnAttempt(t *testing.T) {
	onSQLite(t, 9, func(w *world) {
		w.syncAll()
		w.noError(w.server.Inject(sim.Fault{Operation: sim.OpCreate, Mode: sim.ModeRateLimit, RetryAfter: 120, Times: 1}))
		start := w.clock.Now()
		first, err := w.Records.Create(w.t.Context(), w.record("alpha.example", 1), byAnn)
		w.noError(err)
		other, err := w.Records.Create(w.t.Context(), w.record("bravo.example", 2), byAnn)
		w.noError(err)
		w.noError(nawasynctest.Drain(w.t.Context(), w.engine, w.clock))
		for _, job := range []*tracker.Job{first, other} {
			w.want(job, tracker.StatusSuccess, "")
			if ended := w.job(job); ended.Attempt > 1 {
				w.t.Errorf("%s took %d attempts, want 1", ended.TargetID, ended.Attempt)
			}
		}
		if waited := w.clock.Now().Sub(start); waited.Seconds() < 120 {
			w.t.Errorf("the account was silent for %s, want 120 s", waited)
		}
	})
}
