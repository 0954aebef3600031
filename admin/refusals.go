package admin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// How many forms of a subject may be refused or fail: refusalBurst at once, and then one in each
// refusalInterval. Each of them adds an entry to the audit log.
const (
	refusalBurst    = 50
	refusalInterval = 10 * time.Second
	refusalSubjects = 1000        // how many subjects are remembered
	leftOutInterval = time.Minute // how often the audit log says how many forms of a subject it left out
)

// refusals limits the forms that are refused, for each subject. The zero value is ready for use, and
// is safe for concurrent use.
type refusals struct {
	mu       sync.Mutex
	subjects map[string]*refusalBudget
	evicted  []tracker.AuditEntry // of forgotten subjects, until takeLeftOut returns them
}

// refusalBudget is what remains of one subject's limit.
type refusalBudget struct {
	forms float64   // how many forms may still be refused
	at    time.Time // when forms was calculated

	leftOut     int // how many forms were not looked at since the audit log last said so
	first, last time.Time
	entry       tracker.AuditEntry // of the last of them
}

// take takes one form from the budget of a subject. If the budget is used up, take counts the form as
// left out and returns how long the subject has to wait. restore undoes take.
func (r *refusals) take(subject string, entry tracker.AuditEntry, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.budget(subject, now)
	b.forms = min(refusalBurst, b.forms+max(0, now.Sub(b.at)).Seconds()/refusalInterval.Seconds())
	b.at = now
	if b.forms >= 1 {
		b.forms--
		return 0
	}
	if b.leftOut++; b.leftOut == 1 {
		b.first = now
	}
	entry.Action = sqlkit.CleanText(entry.Action, 50) // a form may name an action of any length
	b.last, b.entry = now, entry
	return time.Duration((1 - b.forms) * float64(refusalInterval))
}

// restore gives back what take has taken, for a form that was neither refused nor failed.
func (r *refusals) restore(subject string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.subjects[subject]; b != nil {
		b.forms = min(refusalBurst, b.forms+1)
	}
}

// budget returns the budget of a subject. If there are too many subjects, it forgets the one that has
// sent no form for the longest time.
func (r *refusals) budget(subject string, now time.Time) *refusalBudget {
	if b := r.subjects[subject]; b != nil {
		return b
	}
	if len(r.subjects) >= refusalSubjects {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(r.subjects)), func(a, b string) int { return r.subjects[a].at.Compare(r.subjects[b].at) })
		if r.subjects[oldest].leftOut > 0 {
			r.evicted = append(r.evicted, r.subjects[oldest].leftOutEntry(oldest))
		}
		delete(r.subjects, oldest)
	}
	if r.subjects == nil {
		r.subjects = map[string]*refusalBudget{}
	}
	b := &refusalBudget{forms: refusalBurst, at: now}
	r.subjects[subject] = b
	return b
}

// takeLeftOut returns the entries for the forms that were left out since leftOutInterval or longer.
func (r *refusals) takeLeftOut(now time.Time) []tracker.AuditEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.evicted
	r.evicted = nil
	for subject, b := range r.subjects {
		if b.leftOut > 0 && now.Sub(b.first) >= leftOutInterval {
			list = append(list, b.leftOutEntry(subject))
			b.leftOut = 0
		}
	}
	return list
}

// leftOutEntry returns the audit entry that says how many forms of a subject were left out.
func (b *refusalBudget) leftOutEntry(subject string) tracker.AuditEntry {
	const layout = "2006-01-02 15:04:05Z"
	return tracker.AuditEntry{
		Action: b.entry.Action, Outcome: tracker.AuditRefused, Subject: subject, Service: b.entry.Service, Instance: b.entry.Instance, Address: b.entry.Address,
		Detail: fmt.Sprintf("forms refused without looking: %d, between %s and %s, because many of this subject's forms were refused or failed before",
			b.leftOut, b.first.UTC().Format(layout), b.last.UTC().Format(layout)),
	}
}

// limitRefusals returns an error with status 429 if too many forms of the subject were refused. done
// must be called with the result of the form: only a refused or failed form counts.
func (p *request) limitRefusals(entry tracker.AuditEntry) (done func(f flash, err error), err error) {
	entry.Address = p.operatorOptions().Address
	wait := p.h.refusals.take(p.viewer.subject, entry, p.now)
	p.recordLeftOut()
	if wait == 0 {
		return func(f flash, err error) {
			if err == nil && !f.Bad {
				p.h.refusals.restore(p.viewer.subject)
			}
		}, nil
	}
	p.w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	return nil, &httpError{
		http.StatusTooManyRequests, p.T("Too many refused forms"),
		p.Tf("Nothing was done. Many of your forms were refused or have failed. Repeat the action in %s.", format.Span(p, wait)),
	}
}

// recordLeftOut adds entries for the forms that were left out to the audit log.
func (p *request) recordLeftOut() {
	for _, entry := range p.h.refusals.takeLeftOut(p.now) {
		if err := p.h.engine.Internals(host.NewKey()).AppendAudit(context.WithoutCancel(p.r.Context()), entry); err != nil {
			p.h.config.Logger.Error("could not write refused forms to the audit log", "by", entry.Subject, "detail", entry.Detail, "error", err)
		}
	}
}
