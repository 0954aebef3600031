package jobstore

// Moment is a point between two statements of the store, where a test may hold it.
type Moment string

// The moments that tests of races need.
const (
	MomentClaiming   Moment = "claiming"     // a claim is about to be written
	MomentPauseRead  Moment = "pause read"   // it has been read which jobs are paused
	MomentNextChosen Moment = "next chosen"  // an ending has chosen the next of its lane, and has not committed
	MomentSettling   Moment = "settling"     // about to wait for whoever ends the first of a lane
	MomentLookedBack Moment = "looked again" // a job was put aside, and its lane looked at again
	MomentSwept      Moment = "swept"        // some lanes have been swept
)

func (s *Store) reachMoment(m Moment) {
	if s.atMoment != nil {
		s.atMoment(m)
	}
}
