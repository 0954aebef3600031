package tracker

import "encoding/json"

// Progress is how far a job is.
type Progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0 if the job has not said how much there is
	Note  string `json:"note"`
}

// ProgressValues decodes Progress. It returns false if the job has reported none. A job that waits for its next attempt
// has the progress of the last one.
func (j *Job) ProgressValues() (p Progress, found bool) {
	if len(j.Progress) == 0 || json.Unmarshal(j.Progress, &p) != nil {
		return Progress{}, false
	}
	return p, true
}
