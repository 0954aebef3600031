package jobstore

// Moment is a point between two statements of the Store at which a test can stop it.
type Moment string

// The moments at which tests provoke races.
const (
	MomentClaiming   Moment = "claiming"     // a claim is about to be written
	MomentPauseRead  Moment = "pause read"   // the paused scopes of some jobs were read
	MomentNextChosen Moment = "next chosen"  // a completion has chosen the next job of its lane and has not committed
	MomentHeadLocked Moment = "settling"     // about to wait for the transaction that ends the first job of a lane
	MomentLaneReread Moment = "looked again" // a job was demoted and its lane was read again
	MomentSwept      Moment = "swept"        // a part of the lanes was swept
)

func (s *Store) reachMoment(m Moment) {
	if s.atMoment != nil {
		s.atMoment(m)
	}
}
