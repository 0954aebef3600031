package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// newCreationConflict returns a zone in which another client has changed the new object before the creation
// was verified, and the creation's job.
func newCreationConflict(t *testing.T, db *testdb.Database) (*zoneRemote, *mirrored[zoneRecord], *tracker.Job) {
	t.Helper()
	remote := newZoneRemote(wwwRecord)
	m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
	remote.after = func(string) error {
		remote.after = nil
		m.clock.Advance(time.Second)
		theirs := remote.stored()[1]
		theirs.Content = "192.0.2.99"
		remote.add(theirs, false)
		return nil
	}
	job := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1", TTL: 600, Weight: 5}, byUser))
	m.ends(job, tracker.StatusConflict, "a different content")
	return remote, m, job
}

func TestConflictOverACreatedObjectIsEndedByEachAnswer(t *testing.T) {
	t.Parallel()
	type answer func(*mirrored[zoneRecord], *tracker.Job) *tracker.Job
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, c := range map[string]struct {
			answer answer
			want   string
		}{
			"keep theirs": {func(m *mirrored[zoneRecord], j *tracker.Job) *tracker.Job {
				return m.drain(mirror.KeepTheirs(t.Context(), m.engine, j.ID, operator))
			}, "192.0.2.99"},
			"accept": {func(m *mirrored[zoneRecord], j *tracker.Job) *tracker.Job {
				return m.drain(mirror.Accept(t.Context(), m.engine, j.ID, operator))
			}, "192.0.2.99"},
			"apply mine": {func(m *mirrored[zoneRecord], j *tracker.Job) *tracker.Job {
				return m.drain(mirror.ApplyMine(t.Context(), m.engine, j.ID, operator))
			}, "192.0.2.1"},
			"overwrite": {func(m *mirrored[zoneRecord], j *tracker.Job) *tracker.Job {
				return m.drain(mirror.Overwrite(t.Context(), m.engine, j.ID, operator))
			}, "192.0.2.1"},
		} {
			t.Run(name, func(t *testing.T) {
				remote, m, conflict := newCreationConflict(t, testdbFresh(t, db))
				m.ends(c.answer(m, conflict), tracker.StatusSuccess, "")
				objects, r := remote.stored(), row(m, "new")
				if len(objects) != 2 || objects[1].Content != c.want || objects[1].Type != "A" || objects[1].TTL != 600 || objects[1].Weight != 5 {
					t.Errorf("objects = %+v, want the new one with content %s", objects, c.want)
				}
				if r.Content != c.want || r.RID != objects[1].RID || r.State != nawasync.StateSynced || r.SyncError != "" {
					t.Errorf("row = %+v, want content %s, synced", r, c.want)
				}
			})
		}
	})
}

func TestAnswerToACreationMeetsAnotherChangeWithAnotherConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m, conflict := newCreationConflict(t, db)
		again := remote.stored()[1]
		again.Content = "192.0.2.100"
		remote.add(again, false)
		m.clock.Advance(time.Minute)
		second := m.drain(mirror.ApplyMine(t.Context(), m.engine, conflict.ID, operator))
		m.ends(second, tracker.StatusConflict, "content changed on the remote")
		m.ends(m.drain(mirror.Overwrite(t.Context(), m.engine, second.ID, operator)), tracker.StatusSuccess, "")
		if objects := remote.stored(); objects[1].Content != "192.0.2.1" || objects[1].Type != "A" {
			t.Errorf("objects = %+v, want the content of the creation", objects)
		}
	})
}

// A change that was queued behind the creation concerns the object that it has created, conflict or not.
func TestChangeBehindACreationInConflictIsWritten(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		remote.after = func(string) error {
			remote.after = nil
			m.clock.Advance(time.Second)
			theirs := remote.stored()[1]
			theirs.Content = "192.0.2.99"
			remote.add(theirs, false)
			return nil
		}
		created, err := m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1", TTL: 600}, byUser)
		enginetest.NoError(t, err)
		change := m.drain(m.Update(t.Context(), row(m, "new"), func(r *zoneRecord) { r.TTL = 900 }, byUser))
		m.ends(m.job(created.ID), tracker.StatusConflict, "content")
		m.ends(change, tracker.StatusSuccess, "")
		if o := remote.stored()[1]; o.TTL != 900 || o.Content != "192.0.2.99" {
			t.Errorf("object = %+v, want their content and the new ttl", o)
		}
	})
}

func TestCreationThatFoundAnObjectOfAnotherClientCannotOverwriteIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		theirs := wwwRecord
		theirs.RID, theirs.Name = "theirs", "new"
		remote.add(theirs, false)
		m.clock.Advance(time.Minute)
		conflict := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser))
		m.ends(conflict, tracker.StatusConflict, "already exists")
		for name, answer := range map[string]func() (*tracker.Job, error){
			"ApplyMine": func() (*tracker.Job, error) { return mirror.ApplyMine(t.Context(), m.engine, conflict.ID, operator) },
			"Overwrite": func() (*tracker.Job, error) { return mirror.Overwrite(t.Context(), m.engine, conflict.ID, operator) },
		} {
			if _, err := answer(); !errors.Is(err, mirror.ErrNoConflict) || conflict.Overwritable() {
				t.Errorf("%s: error = %v, want ErrNoConflict", name, err)
			}
		}
		m.ends(m.drain(mirror.KeepTheirs(t.Context(), m.engine, conflict.ID, operator)), tracker.StatusSuccess, "")
	})
}

// The conflict stores only the beginning of a long document, which cannot be decoded.
func TestConflictOverALongDocumentOfACreatedObjectIsEndedByEachAnswer(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, answer := range map[string]func(m *mirrored[measured], id int64) (*tracker.Job, error){
			"apply mine": func(m *mirrored[measured], id int64) (*tracker.Job, error) {
				return mirror.ApplyMine(t.Context(), m.engine, id, operator)
			},
			"overwrite": func(m *mirrored[measured], id int64) (*tracker.Job, error) {
				return mirror.Overwrite(t.Context(), m.engine, id, operator)
			},
		} {
			t.Run(name, func(t *testing.T) {
				remote, m := newMeasured(t, testdbFresh(t, db))
				want := measured{Realm: "r", Name: "new", At: someTime, Text: "a", Doc: map[string]any{"a": "mine"}}
				remote.created = func() error {
					theirs := remote.objects["new"]
					theirs.Doc = map[string]any{"a": strings.Repeat("theirs ", 1000)}
					remote.objects["new"] = theirs
					return nil
				}
				conflict := m.drain(m.Create(t.Context(), want, byUser))
				m.ends(conflict, tracker.StatusConflict, "a different doc")
				m.ends(m.drain(answer(m, conflict.ID)), tracker.StatusSuccess, "")
				if doc := remote.objects["new"].Doc; doc["a"] != "mine" {
					t.Errorf("the remote has the document %.80v, want mine", doc)
				}
			})
		}
	})
}
