package mirror_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// wrote checks that a job wrote only to an object that it may write to.
func (w *world) wrote(call string, v worldRecord) {
	made := v.Made
	bound := w.bound[w.running]
	if call == "create" {
		object := w.remote.made
		for _, earlier := range w.made[w.running] {
			if v, exists := w.current(earlier); exists && !w.touched[earlier] {
				w.rt.Errorf("job %d has made the object %+v a second time, as %d", w.running, v, object)
			}
		}
		w.made[w.running] = append(w.made[w.running], object)
		return
	}
	switch {
	case made == bound.made, bound.made != 0 && w.remote.showed(v.Zone, v.RID, bound.made):
		return
	case bound.create != 0:
		for _, object := range w.made[bound.create] {
			if object == made || w.remote.showed(v.Zone, v.RID, object) {
				return
			}
		}
		if w.adopted(bound.create, v.RID) {
			return // it had the wanted values
		}
	}
	w.rt.Errorf("job %d has sent a %s of %+v, and is bound to %+v (objects %v)", w.running, call, v, bound, w.made[bound.create])
}

func (w *world) current(made int64) (worldRecord, bool) {
	for _, zone := range w.zones {
		for _, v := range w.remote.shown(zone, 0) {
			if v.Made == made {
				return v, true
			}
		}
	}
	return worldRecord{}, false
}

// unmet returns the fields in which want differs from seen and that an object does not have. Another client
// may have made and undone a part of what a user asks for.
func (*world) unmet(v, seen, want worldRecord) (fields []string) {
	spellContent(&want)
	for field, unmet := range map[string]bool{
		"name": seen.Name != want.Name && v.Name != want.Name, "type": seen.Type != want.Type && v.Type != want.Type,
		"ttl": seen.TTL != want.TTL && v.TTL != want.TTL, "content": seen.Content != want.Content && v.Content != strings.ToLower(want.Content),
	} {
		if unmet {
			fields = append(fields, field)
		}
	}
	return fields
}

// checkSuccess checks that a job which ended with success has done what the user asked for.
func (w *world) checkSuccess(id int64) {
	asked, found := w.wants[id]
	if !found {
		return
	}
	job := w.m.job(id)
	if job.Status != tracker.StatusSuccess || string(job.Result) == `{"row_only":true}` {
		return
	}
	made := append([]int64{w.bound[id].made}, w.made[w.bound[id].create]...)
	unmet := []string{"name", "type", "ttl", "content"}
	if asked.gone {
		unmet = nil
	}
	var latest []worldVersion
	for _, v := range w.remote.versions {
		latest = slices.DeleteFunc(latest, func(o worldVersion) bool {
			return o.value.Made == v.value.Made && !v.at.After(asked.at.Add(-w.remote.lag))
		})
		latest = append(latest, v)
	}
	for _, v := range latest {
		ours := slices.Contains(made, v.value.Made)
		if adopted := strings.Contains(string(job.Result), fmt.Sprintf(`"adopted":%q`, v.value.RID)); adopted || w.adopted(w.bound[id].create, v.value.RID) {
			ours = true
		}
		if ours && !v.deleted && !asked.gone {
			still := asked.unmet(v.value)
			unmet = slices.DeleteFunc(unmet, func(field string) bool { return !slices.Contains(still, field) })
		}
		if o, exists := w.current(v.value.Made); asked.gone && ours && exists && v.value.Made == w.bound[id].made && o.RID == w.bound[id].rid {
			unmet = []string{"existence"}
		}
	}
	if len(unmet) > 0 {
		w.rt.Errorf("%s job %d has succeeded (%s), and the remote never had the wanted %v; objects %v: %+v", job.Action, id, job.Result, unmet, made, latest)
	}
}

// adopted reports whether a creation has found its object on the remote.
func (w *world) adopted(create int64, rid string) bool {
	if create == 0 {
		return false
	}
	job := w.m.job(create)
	return job.Status == tracker.StatusSuccess && strings.Contains(string(job.Result), fmt.Sprintf(`"adopted":%q`, rid))
}

// compare compares the rows with the remote.
func (w *world) compare() {
	rows := w.m.rows()
	for _, zone := range w.zones {
		for _, object := range w.remote.shown(zone, 0) {
			of := slices.DeleteFunc(slices.Clone(rows), func(row worldRecord) bool { return row.Zone != zone || row.RID != object.RID })
			if len(of) != 1 {
				w.rt.Errorf("%d rows of the object %+v: %+v", len(of), object, of)
			}
		}
	}
	for _, row := range rows {
		w.compareRow(row)
	}
}

func (w *world) compareRow(row worldRecord) {
	reason := row.SyncError
	stands := !row.LastSyncedAt.IsZero() // for an object
	object, exists := w.remote.find(row.Zone, row.RID, "", 0)
	switch {
	case row.State == nawasync.StateSynced && stands && exists:
	case row.State == nawasync.StateConflict && reason != "":
		if job := w.m.job(*row.SyncJobID); job.Status != tracker.StatusConflict {
			w.rt.Errorf("at rest, row %+v, and its job is %s", row, job.Status)
		}
	case row.State == nawasync.StateFailed && reason != "" && !stands:
		if job := w.m.job(w.create[row.ID]); job.Status != tracker.StatusConflict && job.Status != tracker.StatusFailed {
			w.rt.Errorf("at rest, row %+v, and its creation is %s", row, job.Status)
		}
	default:
		w.rt.Errorf("at rest, row %+v, object exists: %v", row, exists)
	}
	got := row
	got.ID, got.SyncStatus = 0, nawasync.SyncStatus{}
	if stands && exists && got != object {
		w.rt.Errorf("row %+v differs from the object %+v", row, object)
	}
}
