package nawasync

// SyncResult is what a sync did, or a plan would do.
type SyncResult struct {
	Listed    int64 `json:"listed"`    // objects that came, doubles included
	Created   int64 `json:"created"`   // rows added
	Updated   int64 `json:"updated"`   // rows written
	Unchanged int64 `json:"unchanged"` // rows not written
	InFlight  int64 `json:"in_flight"` // rows left alone, for a job changes them or has just done so
	Missing   int64 `json:"missing"`   // rows that the listing did not have
	Deleted   int64 `json:"deleted"`   // of them, deleted
	Kept      int64 `json:"kept"`      // of them, kept because a person said so
	// Drifted counts, by column, content that somebody else had changed at the remote;
	// Samples are some of them.
	Drifted map[string]int64 `json:"drifted,omitempty"`
	Samples []map[string]any `json:"samples,omitempty"`
	Proof   string           `json:"proof,omitempty"` // complete, exhausted or unproven
	// Held is the hold that keeps rows from being deleted; -1 in a plan of a run that
	// would be held.
	Held int64 `json:"held,omitempty"`
}
