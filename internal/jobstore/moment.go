package jobstore

// Moment is a point between two statements of the Store at which a test can stop it.
type Moment string

// The moments at which tests provoke races.
const (
	MomentClaiming   Moment = "claiming"    // a claim is about to be written
	MomentNextChosen Moment = "next chosen" // a completion has chosen the next job of its lane and has not committed
	MomentBlocked    Moment = "blocked"     // the jobs in the way of some others were read and not locked yet
	MomentSwept      Moment = "swept"       // a part of the lanes was swept
	MomentFormRead   Moment = "form read"   // a request has looked for the answer of a form that was sent before
	MomentWoken      Moment = "woken"       // the sweep has returned jobs to the claim index and, on MySQL, has not committed
)

func (s *Store) reachMoment(m Moment) {
	if s.atMoment != nil {
		s.atMoment(m)
	}
}
