package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/tracker"
)

// limitedBy is who dispatched the jobs that meet the rate limit of the guide's last step.
const limitedBy = "user:demo, rate limit"

// guideView is the guide through a change, its job, a conflict, a held sync and a rate limit. What is done follows
// from the jobs and the holds, so that it is still true after a restart.
type guideView struct {
	Instance string
	Mailbox  hosting.WhmEmailAccount // the mailbox of the first and the third step
	Seen     string                  // what the form of the first step says that its user saw of the mailbox

	Changed *tracker.Job // the newest change of a quota, or nil
	Ended   bool         // whether a change of a quota has succeeded

	Conflict *tracker.Job // the newest conflict without an answer, or nil
	Answered bool         // whether a conflict has an answer

	Hold    *tracker.Hold // the newest open hold, or nil
	Decided bool          // whether an operator has decided a hold
	Hidden  int           // mailboxes that the simulated server has lost

	Limited []*tracker.Job // the newest jobs that met the rate limit
}

// guide returns the guide, or nil if the server is not a simulated one in this process or has no mailbox yet.
func (s *Pages) guide(ctx context.Context, instance string) (*guideView, error) {
	if s.Simulated[instance] == nil {
		return nil, nil //nolint:nilnil // there is no guide
	}
	v := &guideView{Instance: instance, Hidden: s.Simulated[instance].Hidden()}
	var err error
	if v.Changed, err = s.newest(ctx, site.Term(tracker.FieldAction, "update_quota")); err != nil {
		return nil, err
	}
	if v.Mailbox, err = s.guideMailbox(ctx, instance, v.Changed); errors.Is(err, nawasync.ErrNotFound) {
		return nil, nil //nolint:nilnil // there is no guide
	}
	if err == nil {
		v.Seen, err = s.Hosting.Emails.Seen(ctx, v.Mailbox, site.User)
	}
	return v, errors.Join(err, s.readProgress(ctx, v))
}

// guideMailbox returns the mailbox that was changed last, or else the first one of the list.
func (s *Pages) guideMailbox(ctx context.Context, instance string, changed *tracker.Job) (row hosting.WhmEmailAccount, err error) {
	if changed != nil && changed.Instance == instance {
		row, err = s.Hosting.Emails.FindKey(ctx, hosting.WhmEmailAccount{Instance: instance, Email: changed.TargetID})
		if err == nil || !errors.Is(err, nawasync.ErrNotFound) {
			return row, err
		}
	}
	rows, err := s.firstMailboxes(ctx, instance, 1)
	if err == nil && len(rows) == 0 {
		err = nawasync.ErrNotFound
	}
	if err != nil {
		return row, err
	}
	return rows[0], nil
}

// firstMailboxes returns the first mailboxes of the list whose quotas are known.
func (s *Pages) firstMailboxes(ctx context.Context, instance string, n int) (rows []hosting.WhmEmailAccount, err error) {
	list, err := s.Hosting.Emails.List(ctx, nawasync.Query{Where: map[string]any{"instance": instance}, Sort: "email", Limit: site.PageSize})
	for _, row := range list.Items {
		if row.Quota != nil && len(rows) < n {
			rows = append(rows, row)
		}
	}
	return rows, err
}

// readProgress reads what of the guide is done.
func (s *Pages) readProgress(ctx context.Context, v *guideView) error {
	quota, conflict := site.Term(tracker.FieldAction, "update_quota"), site.Term(tracker.FieldStatus, string(tracker.StatusConflict))
	held, retried := tracker.Term{Field: tracker.FieldAction, Values: []string{"sync_emails"}, Not: true}, tracker.Term{Field: tracker.FieldRetried}
	open := retried
	open.Not = true
	ended, endedErr := s.newest(ctx, quota, site.Term(tracker.FieldStatus, string(tracker.StatusSuccess)))
	answered, answeredErr := s.newest(ctx, conflict, held, retried)
	var openErr error
	v.Conflict, openErr = s.newest(ctx, conflict, held, open)
	v.Ended, v.Answered = ended != nil, answered != nil
	holds, holdsErr := s.Engine.Reader().Holds(ctx, "whm", "email_account", false, 100)
	for _, h := range holds {
		switch h.Status {
		case tracker.HoldOpen:
			v.Hold = cmp.Or(v.Hold, &h)
		case tracker.HoldReleased, tracker.HoldRejected:
			v.Decided = true
		}
	}
	limited, limitedErr := s.Engine.Reader().Search(ctx, tracker.Search{
		Services: []string{"whm"}, Terms: []tracker.Term{site.Term(tracker.FieldBy, limitedBy)}, Limit: limitedJobs,
	})
	v.Limited = limited.Jobs
	return errors.Join(endedErr, answeredErr, openErr, holdsErr, limitedErr)
}

// newest returns the newest job of a mailbox that matches the terms, or nil.
func (s *Pages) newest(ctx context.Context, terms ...tracker.Term) (*tracker.Job, error) {
	terms = append(terms, site.Term(tracker.FieldType, "email_account"))
	found, err := s.Engine.Reader().Search(ctx, tracker.Search{Services: []string{"whm"}, Terms: terms, Limit: 1})
	if err != nil || len(found.Jobs) == 0 {
		return nil, err
	}
	return found.Jobs[0], nil
}

// Waiting returns how many jobs have met the rate limit and have not ended.
func (v *guideView) Waiting() (n int) {
	for _, job := range v.Limited {
		if !job.Status.Terminal() {
			n++
		}
	}
	return n
}

// working reports whether a job of the guide has not ended, and a step will be ticked when it does.
func (v *guideView) working() bool {
	return v != nil && (v.Changed != nil && !v.Ended && !v.Changed.Status.Terminal() || v.Waiting() > 0)
}

// Done reports which steps are done.
func (v *guideView) Done() [5]bool {
	return [5]bool{v.Changed != nil, v.Ended, v.Answered, v.Decided, len(v.Limited) > 0 && v.Waiting() == 0}
}

// Count returns how many steps are done.
func (v *guideView) Count() (n int) {
	for _, done := range v.Done() {
		if done {
			n++
		}
	}
	return n
}

// Next returns the number of the first step that is not done, or 0.
func (v *guideView) Next() int {
	done := v.Done()
	for i := range done {
		if !done[i] {
			return i + 1
		}
	}
	return 0
}

// Suggestion returns a quota in megabytes that differs from that of the mailbox.
func (v *guideView) Suggestion() string {
	if quotaMB(v.Mailbox.Quota) == "700" {
		return "800"
	}
	return "700"
}

// Heading says how far the guide is.
func (v *guideView) Heading() string {
	if v.Count() == len(v.Done()) {
		return "All 5 steps are done"
	}
	return fmt.Sprintf("%d of 5 steps are done", v.Count())
}

// waitingText says how many jobs wait.
func waitingText(n int) string {
	if n == 1 {
		return "1 job waits."
	}
	return fmt.Sprintf("%d jobs wait.", n)
}

// heldTitle names what a hold is about.
func heldTitle(h *tracker.Hold) string {
	return fmt.Sprintf("Sync of %s on %s", strings.ReplaceAll(h.Type, "_", " "), h.Instance)
}
