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
	reasonUnconfirmed  skipReason = "unconfirmed"
	reasonOlder        skipReason = "older"
	reasonLaterOpen    skipReason = "later_open"
	reasonError        skipReason = "error"
)

// skipReasonText returns the text that the page shows for a reason.
func (p *request) skipReasonText(r skipReason) string {
	switch r {
	case reasonEnded:
		return p.T("the job has ended")
	case reasonNotEnded:
		return p.T("the job has not ended")
	case reasonSucceeded:
		return p.T("the job succeeded")
	case reasonConflict:
		return p.T("the job is in conflict: resolve each conflict on the job's page")
	case reasonBulkRun:
		return p.T("the job is a bulk run")
	case reasonChanged:
		return p.T("the job changed after the preview")
	case reasonNoArguments:
		return p.T("the job's arguments are no longer stored")
	case reasonSuperseded:
		return p.T("a later job for the same object succeeded")
	case reasonNotPermitted:
		return p.T("the operator no longer has permission for the job's service")
	case reasonRetried:
		return p.T("the job was already retried, and its retry stands for it")
	case reasonUnconfirmed:
		return p.T("the run has changed as many jobs as were confirmed: start another one")
	case reasonOlder:
		return p.T("the job is an older failure of the same object and action, and only the newest is retried")
	case reasonLaterOpen:
		return p.T("a later job for the same object has not ended")
	case reasonError:
		return p.T("an error occurred: see the log of the bulk run")
	}
	return string(r)
}
