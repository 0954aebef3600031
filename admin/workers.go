package admin

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// workersView is the data of the workers' page.
type workersView struct {
	*request
	workers []*workerView
	total   int    // processes on all pages
	silent  int    // those without a recent heartbeat
	next    string // ID of the last process of the page if there are more, or ""
	redis   *alert.Alert
	notices []alert.Alert
	more    bool // more jobs run than the page has read
}

// workerView is a process with what runs there.
type workerView struct {
	tracker.Process
	queues  []queueUse
	running []*tracker.Job // that the subject may view; the newest
	hidden  int            // other running jobs
}

// queueUse is how many slots of a queue are in use.
type queueUse struct {
	name        string // "" for all queues
	used, total int
}

const (
	workersPageSize  = 50
	maxWorkerJobs    = 20  // how many running jobs of a process the page lists
	maxRunningLoaded = 500 // how many running jobs the page reads
	// silentAfter is the age of a heartbeat from which on a process is marked. One is written each second.
	silentAfter = 5 * time.Second
	// deadAfter is the age from which on another process takes over the jobs.
	deadAfter = 15 * time.Second
	// abandonedAfter is the age at which another running process would have taken over.
	abandonedAfter = time.Minute
)

func (p *request) workersPage() error {
	p.title, p.section, p.auto = p.T("Workers"), "workers", refreshList
	v := &workersView{request: p}
	ctx := p.r.Context()
	processes, err := p.store().Processes(ctx)
	if err != nil {
		return err
	}
	v.total = len(processes)
	v.silent = len(slices.DeleteFunc(slices.Clone(processes), func(w tracker.Process) bool { return !v.isSilent(w) }))
	if err := v.load(ctx, v.choosePage(processes)); err != nil {
		return err
	}
	if down := p.h.engine.RedisStatus(ctx).DownSince; !down.IsZero() {
		v.redis = &alert.Alert{Text: p.T("Redis does not respond to the process that serves this page. Jobs start up to half a second later than usual; none is lost."), Since: down}
	}
	v.notices = p.notices(ctx)
	return p.render(workersList(v))
}

// choosePage returns the processes of the page. Those without a recent heartbeat come first.
func (v *workersView) choosePage(processes []tracker.Process) []tracker.Process {
	after := v.r.URL.Query().Get("after")
	rest := slices.DeleteFunc(processes, func(w tracker.Process) bool { return w.ID <= after })
	if len(rest) > workersPageSize {
		rest = rest[:workersPageSize]
		v.next = rest[workersPageSize-1].ID
	}
	slices.SortStableFunc(rest, func(a, b tracker.Process) int {
		rank := func(w tracker.Process) int {
			if v.isSilent(w) {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID))
	})
	return rest
}

// load reads what the processes run.
func (v *workersView) load(ctx context.Context, processes []tracker.Process) error {
	counts, err := v.store().RunningJobs(ctx)
	if err != nil {
		return err
	}
	jobs, err := v.store().Search(ctx, runningSearch(maxRunningLoaded))
	if err != nil {
		return err
	}
	v.more = jobs.Older != 0
	used, total := map[string]map[string]int{}, map[string]int{}
	for _, c := range counts {
		if used[c.Worker] == nil {
			used[c.Worker] = map[string]int{}
		}
		used[c.Worker][c.Queue] += c.N
		total[c.Worker] += c.N
	}
	var shown []*tracker.Job
	for _, process := range processes {
		w := &workerView{Process: process, queues: queueUses(process, used[process.ID])}
		for _, job := range jobs.Jobs {
			if job.Worker == process.ID && len(w.running) < maxWorkerJobs {
				w.running = append(w.running, job)
			}
		}
		w.hidden = max(0, total[process.ID]-len(w.running))
		v.workers, shown = append(v.workers, w), append(shown, w.running...)
	}
	return v.store().LoadDetails(ctx, shown)
}

// queueUses returns the queues of a process with their slots. A process of an earlier release does not say how many
// slots it has: their total is then 0.
func queueUses(process tracker.Process, used map[string]int) (list []queueUse) {
	names := map[string]bool{}
	for name := range process.Slots {
		names[name] = true
	}
	for _, name := range process.Queues {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, queueUse{name, used[name], process.Slots[name]})
	}
	return list
}

// isSilent reports whether a process has missed several heartbeats.
func (v *workersView) isSilent(w tracker.Process) bool { return v.now.Sub(w.BeatAt) > silentAfter }

// silentText says what a missing heartbeat means, and what becomes of the process's jobs.
func (v *workersView) silentText(w tracker.Process) string {
	age := v.now.Sub(w.BeatAt)
	switch {
	case age > abandonedAfter && v.silent == v.total:
		return v.T("No process sends heartbeats, so its jobs wait. Start a process: it takes them over after 15 seconds.")
	case age > deadAfter:
		return v.T("Dead, frozen or cut off from the database. Another process takes its jobs over now: they go back to their queues, and this row disappears.")
	}
	return v.Tf("Late: frozen, or its database is slow. After 15 seconds without a heartbeat, another process takes its jobs over (%s to go).", format.Span(v, deadAfter-age))
}

// troubles returns what hinders a process.
func (v *workersView) troubles(w *workerView) []alert.Alert {
	return alert.Troubles(w.Process, v.now, alertPage{v.request})
}

// hiddenText says how many running jobs of a process are not listed. A subject who may not view everything
// does not learn what they are.
func (v *workersView) hiddenText(w *workerView) string {
	if v.viewer.views() == nil || v.more || len(w.running) == maxWorkerJobs {
		return v.plural(int64(w.hidden), "and 1 more job", "and %s more jobs")
	}
	return v.plural(int64(w.hidden), "a job of another service", "%s jobs of other services")
}

// slotsText returns how many slots of a queue are in use.
func (v *workersView) slotsText(q queueUse) string {
	if q.total == 0 {
		return v.plural(int64(q.used), "1 slot used", "%s slots used")
	}
	return v.Tf("%s of %s slots used", format.Thousands(v, q.used), format.Thousands(v, q.total))
}

// summary says how many processes run.
func (v *workersView) summary() string {
	if v.silent == 0 {
		return v.plural(int64(v.total), "1 process runs.", "%s processes run.")
	}
	return v.Tf("%s of %s processes send no heartbeat.", format.Thousands(v, v.silent), format.Thousands(v, v.total))
}

// redisText says how workers learn of new jobs.
func (v *workersView) redisText() string {
	if !v.h.engine.Internals(host.NewKey()).HasRedis() {
		return v.T("Wake-ups: the process that serves this page has no Redis. Workers look for jobs by themselves.")
	}
	return v.T("Wake-ups: Redis responds.")
}

// moreURL returns the URL of the next page.
func (v *workersView) moreURL() string { return v.url("/workers", "after", v.next) }
