package mirror_test

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// before decides what happens before a call of the remote.
func (w *world) before(call string) error {
	if w.quiet {
		return nil
	}
	if (call == "get" || call == "list") && w.draw(6, "client before "+call) == 5 {
		w.otherClient()
	}
	switch w.draw(16, "answer to "+call) {
	case 15:
		return errors.New("HTTP 500")
	case 14:
		after := rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(w.rt, "retry after")
		return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: after, Err: errors.New("HTTP 429")}
	case 13:
		if call != "get" && call != "list" {
			return fault.WithClass(fault.ClassUnknownOutcome, errors.New("HTTP 502"))
		}
	case 12:
		if call == "create" {
			return nawasync.Permanent(errors.New("HTTP 422"))
		}
	}
	return nil
}

func (w *world) after(call string) error {
	if !w.quiet && w.draw(6, "answer after "+call) == 5 {
		return fault.WithClass(fault.ClassUnknownOutcome, errors.New("HTTP 504"))
	}
	return nil
}

func (w *world) cursor() error {
	if !w.quiet && w.draw(4, "cursor") == 3 {
		return mirror.ErrCursorExpired
	}
	return nil
}

// step lets somebody do something.
func (w *world) step() {
	ctx := w.m.t.Context()
	switch kind := rapid.SampledFrom([]string{
		"create", "update", "update", "update", "update", "delete", "refresh", "sync", "sync", "run", "run", "run", "run", "run", "drain", "time",
		"other client", "other client", "other client", "answer", "answer", "restore",
	}).Draw(w.rt, "step"); kind {
	case "create":
		w.createRow()
		if w.draw(4, "double click") == 3 {
			w.createRow()
		}
	case "update", "delete":
		w.change(kind)
	case "refresh":
		if row, found := w.row(); found {
			_, err := w.m.Refresh(ctx, int64(row.ID), byUser)
			w.expect(err)
		}
	case "sync":
		_, err := w.m.SyncNow(ctx, worldRecord{Zone: w.zone()}, rapid.SampledFrom([]string{"", "brief"}).Draw(w.rt, "detail"), byUser)
		w.expect(err)
	case "run":
		w.run(rapid.IntRange(1, 3).Draw(w.rt, "jobs"))
	case "drain":
		w.run(500)
	case "time":
		w.m.clock.Advance(rapid.SampledFrom([]time.Duration{time.Second, 4 * time.Second, time.Minute, time.Hour}).Draw(w.rt, "time"))
	case "other client":
		w.otherClient()
	case "answer":
		w.answer(rapid.SampledFrom([]string{"theirs", "mine", "overwrite", "accept"}).Draw(w.rt, "answer"))
	case "restore":
		w.restore()
	}
}

func (w *world) createRow() {
	want := worldRecord{Zone: w.zone(), Name: w.name()}
	w.edit(&want)
	job, err := w.m.Create(w.m.t.Context(), want, byUser)
	if w.expect(err); err == nil {
		w.create[uint64(job.SnapshotRow)] = job.ID
		w.bound[job.ID] = worldBound{create: job.ID}
		w.wants[job.ID] = worldWant{at: w.m.clock.Now(), unmet: func(v worldRecord) []string { return w.unmet(v, worldRecord{TTL: -1}, want) }}
	}
}

// edit changes the fields of an object.
func (w *world) edit(v *worldRecord) {
	v.Type = rapid.SampledFrom([]string{"A", "TXT"}).Draw(w.rt, "type")
	v.Content = rapid.SampledFrom([]string{"a", "b", "A", "B"}).Draw(w.rt, "content")
	v.TTL = int64(w.draw(3, "ttl"))
}

// row returns a visible row, which a user now sees.
func (w *world) row() (worldRecord, bool) {
	rows := w.m.rows()
	if len(rows) == 0 {
		return worldRecord{}, false
	}
	row := rows[w.draw(len(rows), "row")]
	w.seen = append(w.seen, row)
	return row, true
}

// change lets a user change a row that he sees now, or has seen earlier.
func (w *world) change(kind string) {
	ctx := w.m.t.Context()
	row, found := w.row()
	if found && len(w.seen) > 0 && w.draw(4, "seen earlier") == 3 {
		row = w.seen[w.draw(len(w.seen), "seen")]
	}
	if !found {
		return
	}
	var job *tracker.Job
	var err error
	asked := worldWant{at: w.m.clock.Now(), gone: kind == "delete"}
	if kind == "delete" {
		job, err = w.m.Delete(ctx, row, byUser)
	} else {
		job, err = w.m.Update(ctx, row, func(v *worldRecord) {
			switch w.draw(4, "field") {
			case 0:
				v.TTL = int64(w.draw(3, "ttl"))
			case 1:
				v.Content = rapid.SampledFrom([]string{"a", "b", "A", "B"}).Draw(w.rt, "content")
			case 2:
				w.edit(v)
			case 3:
				v.Name = w.name()
			}
			want := *v
			asked.unmet = func(v worldRecord) []string { return w.unmet(v, row, want) }
		}, byUser)
	}
	if w.expect(err); err == nil {
		w.wants[job.ID] = asked
		w.bound[job.ID] = worldBound{made: row.Made, rid: row.RID, create: w.create[row.ID]}
	}
}

// otherClient lets another client change the remote.
func (w *world) otherClient() {
	zone := w.zone()
	list := w.remote.shown(zone, 0)
	kind := rapid.SampledFrom([]string{"put", "put", "change", "change", "delete", "rename", "again", "swap"}).Draw(w.rt, "other client")
	if kind == "put" || len(list) == 0 {
		v := worldRecord{Zone: zone, Name: w.name()}
		w.edit(&v)
		if _, taken := w.remote.find(zone, "", v.Name, 0); !taken || !w.remote.uniqueNames {
			w.touched[w.remote.put(v).Made] = true
		}
		return
	}
	v := list[w.draw(len(list), "object")]
	w.touched[v.Made] = true
	switch kind {
	case "change":
		w.edit(&v)
		v.Content = string([]rune(v.Content)[0] | 0x20)
		w.remote.add(v, false)
	case "delete":
		w.remote.add(v, true)
	case "rename":
		name := w.name()
		if _, taken := w.remote.find(zone, "", name, 0); !taken || !w.remote.uniqueNames {
			v.Name = name
			w.remote.add(v, false)
		}
	case "again": // with the same key
		w.remote.add(v, true)
		w.edit(&v)
		w.touched[w.remote.put(v).Made] = true
	case "swap": // names, or keys
		other := list[w.draw(len(list), "other")]
		w.touched[other.Made] = true
		if w.draw(2, "swap") == 0 {
			v.Name, other.Name = other.Name, v.Name
		} else if v.Made != other.Made {
			v.RID, other.RID = other.RID, v.RID
		}
		w.remote.add(v, false)
		w.remote.add(other, false)
	}
}

// answer answers the conflict of a row.
func (w *world) answer(kind string) {
	rows := slices.DeleteFunc(w.m.rows(), func(row worldRecord) bool { return row.State != nawasync.StateConflict || row.SyncJobID == nil })
	if len(rows) == 0 {
		return
	}
	w.answerRow(rows[w.draw(len(rows), "conflict")], kind)
}

func (w *world) answerRow(row worldRecord, kind string) {
	ctx, o := w.m.t.Context(), nawasync.OperatorOptions{By: "user:1"}
	answer := map[string]func() (*tracker.Job, error){
		"theirs":    func() (*tracker.Job, error) { return mirror.KeepTheirs(ctx, w.m.engine, *row.SyncJobID, o) },
		"mine":      func() (*tracker.Job, error) { return mirror.ApplyMine(ctx, w.m.engine, *row.SyncJobID, o) },
		"overwrite": func() (*tracker.Job, error) { return mirror.Overwrite(ctx, w.m.engine, *row.SyncJobID, o) },
		"accept":    func() (*tracker.Job, error) { return mirror.Accept(ctx, w.m.engine, *row.SyncJobID, o) },
	}[kind]
	job, err := answer()
	if w.expect(err); err == nil {
		w.bound[job.ID] = w.bound[*row.SyncJobID]
	}
}

// restore restores a deleted row.
func (w *world) restore() {
	var ids []int64
	enginetest.NoError(w.m.t, w.m.db.Table("world_records").Where("deleted_at IS NOT NULL").Order("id").Pluck("id", &ids).Error)
	if len(ids) == 0 {
		return
	}
	id := ids[w.draw(len(ids), "deleted row")]
	_, err := mirror.Restore(w.m.t.Context(), w.m.engine, mirror.DeletedRow{Service: "api", Type: "world_records", ID: id}, nawasync.OperatorOptions{By: "user:1"})
	w.expect(err)
}

func (w *world) expect(err error) {
	for _, expected := range []error{
		nil, nawasync.ErrExists, nawasync.ErrNotFound, nawasync.ErrDeleting, nawasync.ErrUnchanged, mirror.ErrUnseen, mirror.ErrNoConflict, nawasync.ErrSuperseded,
		nawasync.ErrNoArguments,
	} {
		if errors.Is(err, expected) {
			return
		}
	}
	w.rt.Fatal(err)
}
