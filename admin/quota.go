package admin

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The limits of what one subject may cost this process and its database. A reader who clicks through
// pages uses a small part of it; scripts that send expensive requests all the time get 429.
const (
	subjectRequests = 4               // requests at the same time, or half the connections if those are fewer
	requestBudget   = 3 * time.Second // time of requests beside others of the subject
	subjectScans    = 1               // searches at the same time that read jobs one by one
	processScans    = 3
	scanBudget      = 6 * time.Second // time of such searches
	subjectExports  = 1

	budgetShare = 8                      // a budget grows by one second in so many
	reserved    = 500 * time.Millisecond // what a request that runs probably costs
	quotaWait   = 2 * time.Second        // how long a request waits before it is refused; refusals cost time too
	quotaPoll   = 50 * time.Millisecond
)

// quota limits the requests of each subject and of all subjects together. It is safe for concurrent use.
type quota struct {
	perSubject, total int           // requests at the same time; 0 is no limit
	budget            time.Duration // time of requests that a subject can use at once; 0 is no limit
	freeAlone         bool          // a request costs nothing while its subject sends no other
	now               func() time.Time

	mu       sync.Mutex
	running  int
	subjects map[string]*usage
}

// usage is what a subject uses of a quota.
type usage struct {
	running, waiting int
	left             time.Duration // of the budget, at the time at; below 0 after requests that took long
	at               time.Time
}

// enter waits until the subject may send another request, for quotaWait at most. The caller must call leave.
// If ok is false, after is when to try again.
func (q *quota) enter(ctx context.Context, subject string) (leave func(), after time.Duration, ok bool) {
	q.wait(subject, 1)
	defer q.wait(subject, -1)
	giveUp := time.NewTimer(quotaWait)
	defer giveUp.Stop()
	tick := time.NewTicker(quotaPoll)
	defer tick.Stop()
	for {
		if after, ok = q.try(subject); ok {
			begin := q.now()
			return func() { q.leave(subject, q.now().Sub(begin)) }, 0, true
		}
		select {
		case <-tick.C:
		case <-giveUp.C:
			return nil, after, false
		case <-ctx.Done():
			return nil, after, false
		}
	}
}

func (q *quota) wait(subject string, change int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.usage(subject).waiting += change
}

// try counts a request that waits if it fits, or returns when it may fit.
func (q *quota) try(subject string) (after time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.usage(subject)
	if q.total > 0 && q.running >= q.total || u.running >= q.perSubject {
		return time.Second, false
	}
	// Requests that run have not been charged yet.
	if left := u.left - time.Duration(u.running)*reserved; q.charges(u) && left <= 0 {
		return min(-left, q.budget)*budgetShare + time.Second, false
	}
	q.running++
	u.running++
	return 0, true
}

func (q *quota) leave(subject string, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.usage(subject)
	if q.charges(u) {
		u.left = max(u.left-took, -q.budget)
	}
	q.running--
	u.running--
}

// charges reports whether the time of a request, which runs or waits, counts.
func (q *quota) charges(u *usage) bool {
	return q.budget > 0 && (!q.freeAlone || u.running+u.waiting > 1)
}

// usage returns the entry of a subject with what is left now. It drops the entries of idle subjects.
func (q *quota) usage(subject string) *usage {
	now := q.now()
	u := q.subjects[subject]
	if u == nil {
		if len(q.subjects) >= 1000 {
			for name, other := range q.subjects {
				if other.running+other.waiting == 0 && now.Sub(other.at) > 2*budgetShare*q.budget {
					delete(q.subjects, name)
				}
			}
		}
		u = &usage{left: q.budget, at: now}
		q.subjects[subject] = u
	}
	u.left = min(u.left+max(0, now.Sub(u.at))/budgetShare, q.budget)
	u.at = now
	return u
}

// quotas are the quotas of the pages.
type quotas struct {
	requests, exports, scans *quota
	repeats                  *quota // of requests that wait for the answer of the same form
}

// newQuotas returns the quotas of pages with a number of connections. One subject cannot use all of them.
func newQuotas(now func() time.Time, connections int) quotas {
	requests := min(max(connections/2, 1), subjectRequests)
	return quotas{
		requests: &quota{perSubject: requests, budget: requestBudget, freeAlone: true, now: now, subjects: map[string]*usage{}},
		exports:  &quota{perSubject: subjectExports, now: now, subjects: map[string]*usage{}},
		repeats:  &quota{perSubject: subjectRequests, now: now, subjects: map[string]*usage{}},
		scans:    &quota{perSubject: subjectScans, total: processScans, budget: scanBudget, now: now, subjects: map[string]*usage{}},
	}
}

// subjectKey is the key of the subject in the context of a request.
type subjectKey struct{}

// ownScanKey marks the context of searches that the quota does not count.
type ownScanKey struct{}

// ownScan returns a context for searches that are not the subject's own: those of the alerts, and the count
// behind a form, which must not be refused after its preview.
func ownScan(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownScanKey{}, true)
}

// busyError is a refusal by a quota.
type busyError struct{ after time.Duration }

func (*busyError) Error() string { return "too many requests or searches at the same time" }

// beforeScan waits until a search may read jobs one by one.
func (q quotas) beforeScan(ctx context.Context) (done func(), err error) {
	if ctx.Value(ownScanKey{}) != nil {
		return func() {}, nil
	}
	subject, _ := ctx.Value(subjectKey{}).(string)
	leave, after, ok := q.scans.enter(ctx, subject)
	if !ok {
		return nil, &busyError{after}
	}
	return leave, nil
}

// of returns the quota of the requests for a path.
func (q quotas) of(path string) *quota {
	switch path {
	case "/jobs.csv", "/audit.csv":
		return q.exports // an export runs for minutes
	}
	return q.requests
}

// withinQuota serves the request when the quota of its subject allows.
func (p *request) withinQuota(serve func(p *request) error) error {
	if p.viewer.subject == "" || p.viewer.enforcer == nil {
		return serve(p) // which refuses it without reading anything
	}
	q := p.h.quotas.of(p.r.URL.Path)
	leave, after, ok := q.enter(p.r.Context(), p.viewer.subject)
	if !ok {
		return &busyError{after}
	}
	p.leaveQuota = sync.OnceFunc(leave)
	defer p.leaveQuota()
	p.r = p.r.WithContext(context.WithValue(p.r.Context(), subjectKey{}, p.viewer.subject))
	p.requestCtx = context.WithValue(p.requestCtx, subjectKey{}, p.viewer.subject)
	return serve(p)
}

// tooBusy returns the page for a refusal by a quota.
func (p *request) tooBusy(busy *busyError) *httpError {
	seconds := int(busy.after.Round(time.Second).Seconds())
	p.w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds)))
	done := ""
	if p.r.Method == http.MethodPost {
		done = p.T("Nothing was done.") + " "
	}
	return &httpError{
		http.StatusTooManyRequests, p.T("Too many requests"),
		done + p.T("Your account has sent many requests or expensive searches. A service, a status or a time range makes a search cheap.") + " " +
			p.plural(int64(max(1, seconds)), "Wait 1 second.", "Wait %s seconds."),
	}
}
