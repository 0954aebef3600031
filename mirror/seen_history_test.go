package mirror_test

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// conflictOfAToken has a user open a form, then something change the title to "theirs", then the user ask for "mine".
func conflictOfAToken(m *mirrored[plan], name string, change func(seen plan)) *tracker.Job {
	m.t.Helper()
	seen := planOf(m, name)
	token, err := m.Seen(m.t.Context(), seen, "")
	enginetest.NoError(m.t, err)
	change(seen)
	seen, err = m.ParseSeen(m.t.Context(), plan{Tenant: "one"}, "", token)
	enginetest.NoError(m.t, err)
	job := m.drain(m.Update(m.t.Context(), seen, func(p *plan) { p.Title = "mine" }, byUser))
	m.ends(job, tracker.StatusConflict, "title changed on the remote")
	return job
}

func TestConflictOfATokenShowsWhatTheUserSawIfTheHistoryHasIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, remote, _ := newPlans(t, db)
		for _, c := range []struct {
			name, what string
			job        bool // a job changes the title, and not another client
			sql, want  string
		}{
			{"a", "another client's change", false, "", `"old"`},
			{"b", "a change by a job", true, "", `"old"`},
			{"c", "a history that is pruned", false, "DELETE FROM nawasync_changes", ""},
			{"d", "a history that is masked", false, `UPDATE nawasync_changes SET fields = '{"title":{"from":"***","to":"theirs"}}'`, ""},
		} {
			job := conflictOfAToken(m, c.name, func(seen plan) {
				if c.job {
					m.drain(m.Update(t.Context(), seen, func(p *plan) { p.Title = "theirs" }, byUser))
				} else {
					changed := remote.objects[c.name]
					changed.Title = "theirs"
					remote.put(changed)
					m.sync(plan{Tenant: "one"})
				}
				if c.sql != "" {
					enginetest.NoError(t, m.db.Exec(c.sql).Error)
				}
			})
			values, err := job.ConflictValues()
			if err != nil || string(values.Base["title"]) != c.want || string(values.Remote["title"]) != `"theirs"` {
				t.Errorf("%s: conflict = %s, %v; want %q as what the user saw", c.what, job.Diff, err, c.want)
			}
		}
	})
}

func TestOperatorsAnswerTheConflictOfAToken(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, remote, _ := newPlans(t, db)
		job := conflictOfAToken(m, "a", func(seen plan) {
			changed := remote.objects["a"]
			changed.Title = "theirs"
			remote.put(changed)
			m.drain(m.Refresh(t.Context(), int64(seen.ID), byUser))
		})
		answered := m.drain(mirror.ApplyMine(t.Context(), m.engine, job.ID, nawasync.OperatorOptions{By: "user:1"}))
		if got := remote.objects["a"]; answered.Status != tracker.StatusSuccess || got.Title != "mine" {
			t.Errorf("apply mine: the job is %s (%s), and the remote has %q", answered.Status, answered.Error, got.Title)
		}
	})
}
