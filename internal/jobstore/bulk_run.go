package jobstore

import "context"

// BulkRun says on behalf of which bulk run an action is taken. The audit log groups the entries of a run.
type BulkRun struct {
	ID int64 // of the run's job
	// First is set for the first action of the run on an instance. The list of the audit log has this entry only.
	First bool
}

type bulkRunKey struct{}

// WithBulkRun returns a context for an action of a bulk run.
func WithBulkRun(ctx context.Context, run BulkRun) context.Context {
	return context.WithValue(ctx, bulkRunKey{}, run)
}

// BulkRunOf returns the bulk run of a context, or the zero value.
func BulkRunOf(ctx context.Context) BulkRun {
	run, _ := ctx.Value(bulkRunKey{}).(BulkRun)
	return run
}
