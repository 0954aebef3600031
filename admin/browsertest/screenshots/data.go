package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/web"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

const (
	hours    = 24
	mebibyte = 1 << 20
)

var (
	staff = []string{"Ann Keller", "Marta Silva", "Jonas Weber", "Priya Nair"}
	users = []string{"j.weber", "m.silva", "p.nair", "a.keller", "l.rossi", "t.nguyen", "e.dupont", "s.okafor"}
	zones = []string{"harborcafe.example", "nordlicht.example", "greenfield.example"}
	names = []string{"www", "mail", "shop", "api", "status"}
)

func (s *site) person() nawasync.Options {
	return nawasync.Options{By: staff[s.random.IntN(len(staff))]}
}

// overLimit lets a server refuse one change of a quota.
var overLimit = sim.Fault{Function: "edit_pop_quota", Mode: sim.ModeRefuse, Reason: "The quota exceeds the account's limit of 2048 MB.", Times: 1}

// fillPast runs a day of jobs. Its engine has a clock that moves on by the time that each job takes.
func (s *site) fillPast(ctx context.Context) error {
	begin := time.Now().Add(-hours * time.Hour).Truncate(time.Minute)
	s.clock, s.past = nawasynctest.NewClock(begin), true
	engine, module, err := s.newEngine(s.clock.Now)
	if err != nil {
		return err
	}
	for minute := 0; minute < hours*60-10; minute += 5 {
		s.moveTo(begin.Add(time.Duration(minute) * time.Minute))
		if minute%60 == 0 {
			err = module.SyncAll(ctx, instances, nawasync.Options{By: "schedule", Source: nawasync.SourceScheduled})
		} else {
			err = s.changes(ctx, engine, module, minute)
		}
		if err = errors.Join(err, nawasynctest.Drain(ctx, engine, s.clock)); err != nil {
			return err
		}
	}
	return s.fillLastMinutes(ctx, engine, module)
}

// moveTo moves the clock forward to a time.
func (s *site) moveTo(at time.Time) {
	if at.After(s.clock.Now()) {
		s.clock.Set(at)
	}
}

// fillLastMinutes adds what the screenshots show in detail: failed jobs, a conflict and a held sync.
func (s *site) fillLastMinutes(ctx context.Context, engine *nawasync.Engine, module *hosting.Module) error {
	now := time.Now()
	for _, step := range []struct {
		ago time.Duration
		run func() error
	}{
		{9 * time.Minute, func() error { return s.fail(ctx, module) }},
		{6 * time.Minute, func() error { return s.causeConflict(ctx, module) }},
		{4 * time.Minute, func() error { return s.changes(ctx, engine, module, 0) }},
		{2 * time.Minute, func() error { return s.holdSync(ctx, module) }},
	} {
		s.moveTo(now.Add(-step.ago))
		if err := errors.Join(step.run(), nawasynctest.Drain(ctx, engine, s.clock)); err != nil {
			return err
		}
	}
	return nil
}

// changes dispatches what people ask for within five minutes: more by day, and some that fails.
func (s *site) changes(ctx context.Context, engine *nawasync.Engine, module *hosting.Module, minute int) error {
	for range 1 + s.random.IntN(3) {
		record := change{Zone: zones[s.random.IntN(len(zones))], Name: names[s.random.IntN(len(names))], Value: fmt.Sprintf("192.0.2.%d", 10+s.random.IntN(80))}
		record.Name += "." + record.Zone
		user := change{Name: users[s.random.IntN(len(users))], Value: "mail-admin"}
		switch s.random.IntN(40) {
		case 0:
			user.How = "timeout"
		case 1:
			user.Name, user.How = "k.brandt", "unknown"
		}
		_, dnsErr := engine.Dispatch(ctx, dnsChange{record}, s.person())
		_, userErr := engine.Dispatch(ctx, userChange{user}, s.person())
		if err := errors.Join(dnsErr, userErr); err != nil {
			return err
		}
	}
	if minute > hours*60-150 && s.random.IntN(3) == 0 {
		for _, server := range s.simulated {
			if err := server.Inject(overLimit); err != nil {
				return err
			}
		}
	}
	for range 1 + s.random.IntN(2) {
		if err := s.setAnyQuota(ctx, module, instances[s.random.IntN(2)], 300+50*s.random.Int64N(40)); err != nil {
			return err
		}
	}
	return nil
}

// setAnyQuota changes the quota of a random mailbox.
func (s *site) setAnyQuota(ctx context.Context, module *hosting.Module, instance string, megabytes int64) error {
	list, err := module.Emails.List(ctx, nawasync.Query{Where: map[string]any{"instance": instance}, Sort: "email", Limit: 60})
	if err != nil {
		return err
	}
	_, err = s.setQuota(ctx, module, list.Items[s.random.IntN(len(list.Items))], megabytes)
	if errors.Is(err, nawasync.ErrUnchanged) {
		return nil
	}
	return err
}

// setQuota changes the quota of a mailbox, and returns the job.
func (s *site) setQuota(ctx context.Context, module *hosting.Module, row hosting.WhmEmailAccount, megabytes int64) (int64, error) {
	o := s.person()
	o.Action = "update_quota"
	job, err := module.Emails.Update(ctx, row, func(m *hosting.WhmEmailAccount) { m.Quota = new(megabytes * mebibyte) }, o)
	if err != nil {
		return 0, err
	}
	return job.ID, nil
}

// setNamedQuota changes the quota of a mailbox of the first server.
func (s *site) setNamedQuota(ctx context.Context, module *hosting.Module, address string, megabytes int64) (int64, error) {
	row, err := module.Emails.FindKey(ctx, hosting.WhmEmailAccount{Instance: instances[0], Email: address})
	if err != nil {
		return 0, err
	}
	return s.setQuota(ctx, module, row, megabytes)
}

// fail lets changes of quotas fail.
func (s *site) fail(ctx context.Context, module *hosting.Module) (err error) {
	s.simulated[instances[0]].Clear()
	for _, address := range []string{"office@lakeside.example", "press@nordlicht.example"} {
		if err := s.simulated[instances[0]].Inject(overLimit); err != nil {
			return err
		}
		if s.failed, err = s.setNamedQuota(ctx, module, address, 4096); err != nil {
			return err
		}
	}
	return nil
}

// causeConflict changes a mailbox on the server, and then here.
func (s *site) causeConflict(ctx context.Context, module *hosting.Module) (err error) {
	const address = "info@bakery.example"
	if err := s.simulated[instances[0]].Edit(address, sim.State{QuotaMB: new(int64(1500))}); err != nil {
		return err
	}
	s.conflict, err = s.setNamedQuota(ctx, module, address, 2000)
	return err
}

// holdSync lets a server list few mailboxes.
func (s *site) holdSync(ctx context.Context, module *hosting.Module) error {
	s.simulated[instances[1]].HideMailboxes(12)
	_, err := module.Emails.SyncNow(ctx, hosting.WhmEmailAccount{Instance: instances[1]}, hosting.WithDisk, s.person())
	return err
}

// fillPresent adds what happens while the screenshots are taken: a job with progress, and jobs that wait because a token was
// revoked. It fails if the past lacks what the screenshots show.
func (s *site) fillPresent(ctx context.Context) error {
	for id, want := range map[int64]tracker.Status{s.failed: tracker.StatusFailed, s.conflict: tracker.StatusConflict} {
		if job, err := s.engine.Reader().Get(ctx, id); err != nil || job.Status != want {
			return errors.Join(err, fmt.Errorf("job %d is not %s", id, want))
		}
	}
	holds, err := s.engine.Reader().Holds(ctx, "whm", "", true, 1)
	if err != nil || len(holds) == 0 {
		return errors.Join(err, errors.New("no sync is held"))
	}
	if _, err := s.engine.Dispatch(ctx, export{Realm: "staff"}, nawasync.Options{By: staff[1]}); err != nil {
		return err
	}
	for _, name := range names {
		_, err := s.engine.Dispatch(ctx, dnsChange{change{Zone: zones[0], Name: name + "." + zones[0], Value: "192.0.2.80", How: "token"}}, s.person())
		if err != nil {
			return err
		}
	}
	return s.awaitStatistics(ctx)
}

// awaitStatistics waits until the engine has folded the day's jobs into its statistics.
func (s *site) awaitStatistics(ctx context.Context) error {
	before := int64(-1)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(3 * time.Second) {
		stats, err := s.engine.Reader().StatCounts(ctx, tracker.PeriodHour, time.Now().Add(-(hours+1)*time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			return err
		}
		jobs := int64(0)
		for _, stat := range stats {
			jobs += stat.Jobs
		}
		if jobs > 0 && jobs == before {
			return nil
		}
		before = jobs
	}
	return errors.New("the statistics of the jobs were not complete within 2 minutes")
}

// pages returns the paths by the names of their screenshots.
func (s *site) pages() map[string]string {
	return map[string]string{
		"overview": web.AdminPrefix + "/", "jobs": web.AdminPrefix + "/jobs", "job": fmt.Sprintf("%s/jobs/%d", web.AdminPrefix, s.failed),
		"conflict": fmt.Sprintf("%s/jobs/%d", web.AdminPrefix, s.conflict), "service": web.AdminPrefix + "/services/whm", "whm": "/",
	}
}
