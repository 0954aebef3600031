package web

import (
	"errors"
	"net/http"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

const (
	slowChangeMS  = 3000 // how long the simulated server takes for the guide's first change, so that one sees the job run
	limitSeconds  = 15   // how long the simulated server refuses calls
	limitedJobs   = 4    // jobs that meet the rate limit
	keptMailboxes = 2    // mailboxes that stay in the listing of a held sync
)

// tryStep runs a step of the guide on a simulated server.
func (s *Pages) tryStep(w http.ResponseWriter, r *http.Request) {
	server := s.Simulated[s.instance(r)]
	step := map[string]func(*http.Request, *sim.Server) (*tracker.Job, error){
		"change": s.tryChange, "conflict": s.tryConflict, "listing": s.tryListing, "restore": s.tryRestore, "limit": s.tryLimit,
	}[r.PathValue("step")]
	if server == nil || step == nil {
		http.NotFound(w, r)
		return
	}
	job, err := step(r, server)
	s.finishForm(w, r, "/", job, err)
}

// tryChange changes a quota on a server that takes a while.
func (s *Pages) tryChange(r *http.Request, server *sim.Server) (*tracker.Job, error) {
	if err := server.Inject(sim.Fault{Function: "edit_pop_quota", Mode: sim.ModeSlow, DelayMS: slowChangeMS, Times: 1}); err != nil {
		return nil, err
	}
	return s.mailboxJob(r, "update_quota")
}

// tryConflict changes a mailbox on the server, and then here as somebody who has not seen that change.
func (s *Pages) tryConflict(r *http.Request, server *sim.Server) (*tracker.Job, error) {
	email, err := formEmail(r)
	if err = errors.Join(err, complete(server)); err != nil {
		return nil, err
	}
	row, err := s.Hosting.Emails.FindKey(r.Context(), hosting.WhmEmailAccount{Instance: s.instance(r), Email: email})
	switch {
	case err != nil:
		return nil, err
	case row.Quota == nil:
		return nil, mirror.ErrUnseen
	case row.IsPending():
		return nil, site.FormError("the mailbox is being changed: wait until its job has ended")
	}
	theirs, mine := otherQuota(row.Quota, 50, 60), otherQuota(row.Quota, 700, 800)
	if err := server.Edit(email, sim.State{QuotaMB: &theirs}); err != nil {
		return nil, err
	}
	return s.Hosting.Emails.Update(r.Context(), row, func(m *hosting.WhmEmailAccount) { m.Quota = new(mine * mebibyte) }, options("update_quota"))
}

// complete returns an error if the server lacks mailboxes, whose jobs would fail.
func complete(server *sim.Server) error {
	if server.Hidden() > 0 {
		return site.FormError("the simulated server lacks mailboxes: decide the held sync, then put the mailboxes back")
	}
	return nil
}

// otherQuota returns the first of two quotas in megabytes that differs from the row's.
func otherQuota(quota *int64, first, second int64) int64 {
	if *quota == first*mebibyte {
		return second
	}
	return first
}

// tryListing lets the server lose almost all mailboxes, and syncs.
func (s *Pages) tryListing(r *http.Request, server *sim.Server) (*tracker.Job, error) {
	keep := keptMailboxes
	if rows := int64(server.Count()); rows-int64(keep) <= mirror.DefaultLimit(rows) {
		keep = 0 // so few may be missing, but never all
	}
	server.HideMailboxes(keep)
	return s.syncMailboxes(r)
}

// tryRestore puts the lost mailboxes back, and syncs.
func (s *Pages) tryRestore(r *http.Request, server *sim.Server) (*tracker.Job, error) {
	server.ShowMailboxes()
	return s.syncMailboxes(r)
}

func (s *Pages) syncMailboxes(r *http.Request) (*tracker.Job, error) {
	return s.Hosting.Emails.SyncNow(r.Context(), hosting.WhmEmailAccount{Instance: s.instance(r)}, hosting.WithDisk, options(""))
}

// tryLimit lets the server refuse all changes of quotas for a while, and changes some. It returns the first job.
func (s *Pages) tryLimit(r *http.Request, server *sim.Server) (first *tracker.Job, err error) {
	rows, err := s.firstMailboxes(r.Context(), s.instance(r), site.PageSize)
	if err = errors.Join(err, complete(server)); err != nil {
		return nil, err
	}
	if err := server.Inject(sim.Fault{Function: "edit_pop_quota", Mode: sim.ModeRateLimit, Seconds: limitSeconds}); err != nil {
		return nil, err
	}
	o := options("update_quota")
	o.By = limitedBy
	for n := 0; len(rows) > 0 && n < limitedJobs; rows = rows[1:] {
		job, err := s.Hosting.Emails.Update(r.Context(), rows[0], func(m *hosting.WhmEmailAccount) { m.Quota = new(otherQuota(m.Quota, 900, 950) * mebibyte) }, o)
		switch {
		case errors.Is(err, nawasync.ErrDeleting):
			continue
		case err != nil:
			return nil, err
		case first == nil:
			first = job
		}
		n++
	}
	if first == nil {
		return nil, site.FormError("there is no mailbox to change: choose Sync now, then try again")
	}
	return first, nil
}
