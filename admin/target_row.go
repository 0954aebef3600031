package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// objectField is a field of an object: its value in the snapshot row, the one that an open job writes, and the one that
// the remote had when a job ended in conflict.
type objectField struct {
	Label                 string
	Here, Pending, Server fieldValue
	Job                   *tracker.Job // the job that writes Pending, or nil
	Differs               bool         // Server differs from Here
}

// rowShower returns the repository of a type in this process, or nil.
func (p *request) rowShower(service, typ string) host.RowShower {
	repository, err := p.h.engine.Internals(host.NewKey()).Attached(service, typ)
	if err != nil {
		return nil
	}
	shower, _ := repository.(host.RowShower)
	return shower
}

// supports reports whether the remote can do what an action needs. It is true if this process has no such repository.
func (p *request) supports(service, typ, action string) bool {
	repository, err := p.h.engine.Internals(host.NewKey()).Attached(service, typ)
	return err != nil || !slices.Contains(repository.Describe().Unsupported, action)
}

// showRow reads the row of an object. It returns nil if there is none.
func (p *request) showRow(ctx context.Context, target tracker.Target) (row *host.ShownRow, err error) {
	shower := p.rowShower(target.Service, target.Type)
	if shower == nil {
		return nil, nil //nolint:nilnil // this process has no such repository
	}
	err = p.h.oneAtATime(ctx, func() (err error) {
		row, err = shower.ShowRow(ctx, target.Instance, target.ID)
		return err
	})
	if errors.Is(err, tracker.ErrNotFound) {
		return nil, nil //nolint:nilnil // the table has no such row
	}
	return row, err
}

// loadRow reads the object's row and combines it with what its newest jobs write and have seen.
func (v *targetView) loadRow(ctx context.Context, jobs []*tracker.Job) (err error) {
	target := tracker.Target{Service: v.service, Type: v.typ, Instance: v.instance, ID: v.id}
	if v.row, err = v.showRow(ctx, target); err != nil || v.row == nil {
		return err
	}
	open, err := v.unanswered(ctx, conflictsOf(jobs))
	if err != nil {
		return err
	}
	if len(open) > 0 {
		v.conflict = open[0]
	}
	remote := map[string]json.RawMessage{}
	if v.conflict != nil {
		if values, err := v.conflict.ConflictValues(); err == nil {
			remote = values.Remote
		}
	}
	for _, column := range v.row.Columns {
		field := v.fieldOf(v.service, v.typ, column)
		f := objectField{Label: field.Label}
		pending, job := pendingValue(jobs, column)
		values := v.fieldValues(field, v.row.Values[column], pending, remote[column])
		f.Here, f.Pending, f.Server, f.Job = values[0], values[1], values[2], job
		f.Differs = remote[column] != nil && values[0] != values[2]
		v.fields = append(v.fields, f)
	}
	return nil
}

// conflictsOf returns the jobs that ended in conflict.
func conflictsOf(jobs []*tracker.Job) (list []*tracker.Job) {
	for _, j := range jobs {
		if j.Status == tracker.StatusConflict {
			list = append(list, j)
		}
	}
	return list
}

// pendingValue returns the value that the newest open job of an object writes to a column, and that job. Jobs are
// ordered from new to old.
func pendingValue(jobs []*tracker.Job, column string) (json.RawMessage, *tracker.Job) {
	for _, j := range jobs {
		var payload struct {
			Changes map[string]json.RawMessage `json:"changes"`
		}
		if j.Status.Terminal() || json.Unmarshal(j.Payload, &payload) != nil || payload.Changes[column] == nil {
			continue
		}
		_, to := changedValue(payload.Changes[column])
		return to, j
	}
	return nil, nil
}

// refreshTarget dispatches a job that reads the object of a row.
func (p *request) refreshTarget() error {
	form := p.r.PostForm
	target := tracker.Target{Service: form.Get("service"), Type: form.Get("type"), Instance: form.Get("instance"), ID: form.Get("id")}
	if target.Service == "" || target.Type == "" || target.ID == "" || !p.viewer.allowed(PermissionView, target.Service, target.Instance) {
		return errNotFound
	}
	entry := tracker.AuditEntry{Action: "refresh", Service: target.Service, Type: target.Type, Instance: target.Instance, TargetID: target.ID}
	return p.runAction(PermissionManage, entry, func(ctx context.Context) (flash, error) {
		row, err := p.showRow(ctx, target)
		switch {
		case err != nil:
			return flash{}, readError{err}
		case row == nil:
			return flash{}, &refusedError{text: p.T("The object is not in a table of this process, so it cannot be refreshed from here.")}
		}
		var job *tracker.Job
		o := p.operatorOptions()
		err = p.h.engine.Internals(host.NewKey()).Operate(ctx, entry.Action, o, func(e *tracker.AuditEntry) error {
			e.Service, e.Type, e.Instance, e.TargetID = target.Service, target.Type, target.Instance, target.ID
			job, err = p.rowShower(target.Service, target.Type).RefreshRow(ctx, row.ID, o.By)
			if err == nil {
				e.JobID = job.ID
			}
			return err
		})
		return newJobFlash(p.T("Job %d reads the object from the server."), job, err)
	})
}

// rowText says how the row of the object stands.
func (v *targetView) rowText() string {
	switch {
	case v.row.SyncedAt.IsZero():
		return v.T("never synced")
	case v.row.State == nawasync.StateSynced:
		return v.Tf("in sync, %s", v.timeAgo(v.row.SyncedAt))
	}
	return v.Tf("%s; last in sync %s", v.state(v.row.State), v.timeAgo(v.row.SyncedAt))
}

// hasPending reports whether an open job changes a field.
func (v *targetView) hasPending() bool {
	for _, f := range v.fields {
		if f.Job != nil {
			return true
		}
	}
	return false
}

func (v *targetView) canRefresh() bool {
	return v.row != nil && v.row.State != tracker.StateDeleted && v.supports(v.service, v.typ, tracker.RefreshAction) &&
		v.viewer.allowed(PermissionManage, v.service, v.instance)
}
