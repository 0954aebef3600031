package format

import "github.com/nawasara/nawasync/tracker"

// Status returns the word for a job's status.
func Status(l Language, s tracker.Status) string {
	switch s {
	case tracker.StatusQueued:
		return l.T("queued")
	case tracker.StatusRunning:
		return l.T("running")
	case tracker.StatusSuccess:
		return l.T("success")
	case tracker.StatusFailed:
		return l.T("failed")
	case tracker.StatusConflict:
		return l.T("conflict")
	case tracker.StatusSkipped:
		return l.T("skipped")
	case tracker.StatusCancelled:
		return l.T("cancelled")
	}
	return string(s)
}
