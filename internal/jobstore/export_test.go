package jobstore

// LaneHeadsQuery and BehindQuery return the statements whose cost a test measures.
func (s *Store) LaneHeadsQuery() string { return s.dialect.LaneHeads() }

func (s *Store) BehindQuery() string {
	return "SELECT j.id, " + s.dialect.Behind() + " FROM nawasync_jobs j WHERE j.id = ?"
}
