package jobstore

// LaneHeadsQuery and StandingQuery return the statements whose cost a test measures.
func (s *Store) LaneHeadsQuery() string { return s.dialect.LaneHeads() }

func (s *Store) StandingQuery() string {
	return "SELECT j.id" + s.dialect.RunnableColumns() + " FROM nawasync_jobs j WHERE j.id = ?"
}
