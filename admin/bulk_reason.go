package admin

// skipReason is why a bulk run skipped a job. The run stores the value in its result.
type skipReason string

const (
	reasonEnded        skipReason = "ended"
	reasonNotEnded     skipReason = "open"
	reasonSucceeded    skipReason = "succeeded"
	reasonConflict     skipReason = "conflict"
	reasonBulkRun      skipReason = "run"
	reasonChanged      skipReason = "changed"
	reasonNoArguments  skipReason = "arguments"
	reasonSuperseded   skipReason = "superseded"
	reasonNotPermitted skipReason = "revoked"
	reasonRetried      skipReason = "retried"
	reasonError        skipReason = "error"
)

// skipReasonText returns the text that the page shows for a reason.
func (p *request) skipReasonText(r skipReason) string {
	switch r {
	case reasonEnded:
		return p.T("it has ended")
	case reasonNotEnded:
		return p.T("it has not ended")
	case reasonSucceeded:
		return p.T("it succeeded")
	case reasonConflict:
		return p.T("it is in conflict: answer each on its page")
	case reasonBulkRun:
		return p.T("it is a bulk run itself")
	case reasonChanged:
		return p.T("it has changed since")
	case reasonNoArguments:
		return p.T("its arguments are no longer kept")
	case reasonSuperseded:
		return p.T("a later job of the same target succeeded")
	case reasonNotPermitted:
		return p.T("its operator may not manage it any more")
	case reasonRetried:
		return p.T("this run has retried it already")
	case reasonError:
		return p.T("an error: see the run's log")
	}
	return string(r)
}
