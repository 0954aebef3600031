package admin

// reason is why a run leaves a job out, as its row keeps it.
type reason string

const (
	hasEnded       reason = "ended"
	hasNotEnded    reason = "open"
	succeeded      reason = "succeeded"
	inConflict     reason = "conflict"
	isARun         reason = "run"
	changedSince   reason = "changed"
	argumentsGone  reason = "arguments"
	superseded     reason = "superseded"
	revoked        reason = "revoked"
	retriedAlready reason = "retried"
	wentWrong      reason = "error"
)

// why is a reason for the reader.
func (p *page) why(r reason) string {
	switch r {
	case hasEnded:
		return p.T("it has ended")
	case hasNotEnded:
		return p.T("it has not ended")
	case succeeded:
		return p.T("it succeeded")
	case inConflict:
		return p.T("it is in conflict: answer each on its page")
	case isARun:
		return p.T("it is a bulk run itself")
	case changedSince:
		return p.T("it has changed since")
	case argumentsGone:
		return p.T("its arguments are no longer kept")
	case superseded:
		return p.T("a later job of the same target succeeded")
	case revoked:
		return p.T("its operator may not manage it any more")
	case retriedAlready:
		return p.T("this run has retried it already")
	case wentWrong:
		return p.T("an error: see the run's log")
	}
	return string(r)
}
