package dns_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// record returns a record that no seed has.
func (w *world) record(zone string, n int) dns.Record {
	r := w.scope(zone)
	r.Name, r.Type, r.Content, r.TTL = fmt.Sprintf("new%04d.%s", n, zone), "A", fmt.Sprintf("203.0.%d.%d", 113+n/250, 1+n%250), 300
	return r
}

func TestCreatedRecordsAreThoseOfTheNextSync(t *testing.T) {
	onEveryDatabase(t, 9, func(w *world) {
		w.syncAll()
		zero := 0
		want := map[string]func(*dns.Record){
			"www2.alpha.example 192.0.2.9": func(r *dns.Record) { r.Name, r.Type, r.Content = "WWW2.Alpha.Example.", "a", " 192.0.2.9" },
			"p.alpha.example 192.0.2.9": func(r *dns.Record) {
				r.Name, r.Type, r.Content, r.Proxied, r.TTL = "p.alpha.example", "A", "192.0.2.9", true, 300
			},
			"*.w.alpha.example 2001:db8::1":          func(r *dns.Record) { r.Name, r.Type, r.Content = "*.w.alpha.example", "AAAA", "2001:DB8:0:0::1" },
			"xn--bro-hoa.alpha.example ziel.example": func(r *dns.Record) { r.Name, r.Type, r.Content = "büro.alpha.example", "CNAME", "Ziel.Example." },
			"multi.alpha.example 192.0.2.1":          func(r *dns.Record) { r.Name, r.Type, r.Content = "multi.alpha.example", "A", "192.0.2.1" },
			"multi.alpha.example 192.0.2.2":          func(r *dns.Record) { r.Name, r.Type, r.Content = "multi.alpha.example", "A", "192.0.2.2" },
			"multi.alpha.example first.mail.example": func(r *dns.Record) {
				r.Name, r.Type, r.Content, r.Priority = "multi.alpha.example", "MX", "first.mail.example", &zero
			},
			`_dmarc.alpha.example "v=DMARC1; p=none"`: func(r *dns.Record) { r.Name, r.Type, r.Content = "_dmarc.alpha.example", "TXT", `"v=DMARC1; p=none"` },
			"commented.alpha.example 192.0.2.9": func(r *dns.Record) {
				r.Name, r.Type, r.Content, r.Comment, r.Tags = "commented.alpha.example", "A", "192.0.2.9", "ours", []string{"b", "a"}
			},
		}
		var jobs []*tracker.Job
		for _, set := range want {
			r := w.scope("alpha.example")
			set(&r)
			job, err := w.Records.Create(w.t.Context(), r, byAnn)
			w.noError(err)
			jobs = append(jobs, job)
		}
		w.drain()
		for _, job := range jobs {
			w.want(job, tracker.StatusSuccess, "")
		}
		remote, rows := w.remote(), w.rows("alpha.example", nawasync.StateSynced)
		for key := range want {
			if rows[key].RID == "" || rows[key].RID != remote[key].ID || rows[key].TTL != remote[key].TTL || w.server.Changes(remote[key].ID) != 1 {
				w.t.Errorf("%s: row %+v, remote %+v", key, rows[key], remote[key])
			}
		}
		if priority := rows["multi.alpha.example first.mail.example"].Priority; priority == nil || *priority != 0 {
			w.t.Errorf("the priority is %v, want 0", rows["multi.alpha.example first.mail.example"])
		}
		if ttl := rows["p.alpha.example 192.0.2.9"].TTL; ttl != 1 {
			w.t.Errorf("the proxied record has the ttl %d, want 1", ttl)
		}
		w.want(w.sync(), tracker.StatusSuccess, `"created":0,"updated":0,"unchanged":18`)
	})
}

func TestChangeKeepsWhatSomebodyElseHasChangedMeanwhile(t *testing.T) {
	onSQLite(t, 9, func(w *world) {
		w.syncAll()
		row := w.rows("alpha.example")["alpha.example mail.alpha.example"] // an MX with the priority 0
		_, err := w.server.Put("alpha.example", sim.Change{ID: row.RID, Comment: new("theirs"), Tags: &[]string{"team:mail"}})
		w.noError(err)
		job, err := w.Records.Update(w.t.Context(), row, func(r *dns.Record) { r.TTL = 600 }, byAnn)
		w.noError(err)
		w.drain()
		w.want(job, tracker.StatusSuccess, "")
		remote := w.remote()["alpha.example mail.alpha.example"]
		if remote.TTL != 600 || *remote.Comment != "theirs" || !slices.Equal(remote.Tags, []string{"team:mail"}) || *remote.Priority != 0 {
			w.t.Errorf("the record is %+v, want the ttl 600 and everything else as it was", remote)
		}
	})
}

func TestTypeContentAndProxiedConflictTogether(t *testing.T) {
	onSQLite(t, 9, func(w *world) {
		w.syncAll()
		row := w.rows("alpha.example")["api.alpha.example 192.0.2.11"]
		_, err := w.server.Put("alpha.example", sim.Change{ID: row.RID, Content: new("192.0.2.99")})
		w.noError(err)
		job, err := w.Records.Update(w.t.Context(), row, func(r *dns.Record) { r.Proxied = true }, byAnn)
		w.noError(err)
		w.drain()
		w.want(job, tracker.StatusConflict, "")
		if remote := w.remote()["api.alpha.example 192.0.2.99"]; remote.Proxied || w.server.Changes(remote.ID) != 0 {
			w.t.Errorf("the record is %+v, want it as it was changed elsewhere", remote)
		}
		answer, err := mirror.ApplyMine(w.t.Context(), w.engine, job.ID, nawasync.OperatorOptions{By: "user:7"})
		w.noError(err)
		w.drain()
		w.want(answer, tracker.StatusSuccess, "")
		if remote := w.remote()["api.alpha.example 192.0.2.99"]; !remote.Proxied || remote.TTL != 1 {
			w.t.Errorf("the record is %+v, want it proxied with the new content", remote)
		}
	})
}

func TestDeletionAndCreationOfWhatIsSoAlready(t *testing.T) {
	onSQLite(t, 9, func(w *world) {
		w.syncAll()
		rows := w.rows("alpha.example")
		gone := rows["api.alpha.example 192.0.2.12"]
		w.noError(w.server.Remove("alpha.example", gone.RID))
		deleted, err := w.Records.Delete(w.t.Context(), gone, byAnn)
		w.noError(err)
		there := w.record("alpha.example", 1)
		remote, err := w.server.Put("alpha.example", sim.Change{Name: &there.Name, Type: &there.Type, Content: &there.Content, TTL: &there.TTL})
		w.noError(err)
		adopted, err := w.Records.Create(w.t.Context(), there, byAnn)
		w.noError(err)
		beside := w.scope("alpha.example")
		beside.Name, beside.Type, beside.Content = "www.alpha.example", "A", "192.0.2.1"
		refused, err := w.Records.Create(w.t.Context(), beside, byAnn)
		w.noError(err)
		w.drain()
		w.want(deleted, tracker.StatusSuccess, "")
		w.want(adopted, tracker.StatusSuccess, "")
		w.want(refused, tracker.StatusFailed, "delete one of them first")
		if row := w.rows("alpha.example")[there.Name+" "+there.Content]; row.RID != remote.ID || w.server.Changes(remote.ID) != 0 {
			w.t.Errorf("the row has the identifier %q, want that of the record that was there, %s", row.RID, remote.ID)
		}
		if _, there := w.rows("alpha.example")["api.alpha.example 192.0.2.12"]; there {
			w.t.Error("the row of the deleted record is still shown")
		}
	})
}

// One call in ten fails, and one write in twenty is carried out and loses its answer.
func TestManyChangesEndAsAskedAndNothingTwiceOverAnUnreliableNetwork(t *testing.T) {
	n := enginetest.Sized(80, 1000)
	onEveryDatabase(t, 9, func(w *world) {
		w.syncAll()
		w.noError(w.server.Inject(sim.Fault{Mode: sim.ModeError, Status: 503, Every: 10}))
		for _, operation := range []string{sim.OpCreate, sim.OpEdit, sim.OpDelete} {
			w.noError(w.server.Inject(sim.Fault{Operation: operation, Mode: sim.ModeLost, Every: 20}))
		}
		var many []dns.Record
		for i := range n {
			many = append(many, w.record("alpha.example", i))
		}
		added, err := w.AddMany(w.t.Context(), many, byAnn)
		w.noError(err)
		if added != n {
			w.t.Errorf("AddMany dispatched %d jobs, want %d", added, n)
		}
		w.drain()
		rows := w.rows("alpha.example", nawasync.StateSynced)
		remote := w.remote()
		if len(remote) != n+9 || len(rows) != n+9 {
			w.t.Fatalf("there are %d records and %d synced rows, want %d", len(remote), len(rows), n+9)
		}
		var edit []dns.Record
		for _, r := range many {
			edit = append(edit, rows[r.Name+" "+r.Content])
		}
		changed, err := w.EditMany(w.t.Context(), edit, func(r *dns.Record) { r.TTL, r.Comment = 900, "bulk" }, byAnn)
		w.noError(err)
		if changed != n {
			w.t.Errorf("EditMany dispatched %d jobs, want %d", changed, n)
		}
		w.drain()
		remote = w.remote()
		for _, r := range many {
			got := remote[r.Name+" "+r.Content]
			if got.TTL != 900 || got.Comment == nil || *got.Comment != "bulk" || w.server.Changes(got.ID) != 2 {
				w.t.Errorf("%s is %+v after %d changes, want the ttl 900 after 2", r.Name, got, w.server.Changes(got.ID))
			}
		}
		if synced := len(w.rows("alpha.example", nawasync.StateSynced)); len(remote) != n+9 || synced != n+9 {
			w.t.Errorf("there are %d records and %d synced rows, want %d", len(remote), synced, n+9)
		}
		w.server.Clear()
		_, err = w.AddMany(w.t.Context(), many[:3], byAnn) // those that are there already
		w.noError(err)
		w.drain()
		if remote, rows := w.remote(), w.rows("alpha.example"); len(remote) != n+9 || len(rows) != n+9 {
			w.t.Errorf("adding records again leaves %d records and %d rows, want %d", len(remote), len(rows), n+9)
		}
	})
}
