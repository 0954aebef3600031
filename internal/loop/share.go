package loop

import "time"

// share is the part of the time that a step with a Share may take: a fiftieth.
const share = 50

// Share limits an expensive step of a loop to a fiftieth of the time: after a run that took a second,
// the step is left out for 50 seconds. The zero value runs the step at once. It is not safe for
// concurrent use.
type Share struct{ next time.Time }

// Run runs the step if it may run at the time now, and reports whether it did.
func (s *Share) Run(now time.Time, step func() error) (ran bool, err error) {
	if now.Before(s.next) {
		return false, nil
	}
	begin := time.Now()
	err = step()
	s.next = now.Add(share * time.Since(begin))
	return true, err
}
