// Package mirror keeps a database table in sync with the objects of an external API.
//
// Declare a snapshot struct, implement [Remote] for the API, and pass both to [New]. The
// result is a repository: pages read the table, each change is a job that reads the remote
// object before it writes, and syncs copy the remote's listing into the table.
//
// A snapshot is a struct with an integer ID, an embedded nawasync.SyncStatus, and fields
// with roles:
//
//	type Account struct {
//		ID       uint64
//		Instance string          `sync:"scope"`           // which server; part of the key
//		Name     string          `sync:"key"`             // the remote's id; required
//		Plan     string          // content: hashed, compared, writable
//		DiskUsed int64           `sync:"observed"`        // stored and refreshed, never a conflict
//		Password nawasync.Secret `sync:"secret" gorm:"-"` // written to the remote, never stored
//		nawasync.SyncStatus
//	}
//
// The other roles are natural (content, and the name that finds an object before the remote
// has assigned its id), incarnation (observed, and different if the object was deleted and made again)
// and ignored. Content has the options set (a list whose order has no meaning), exact (another value than
// the written one is never accepted) and group (fields that conflict together). You create the table in a
// migration; [StatusColumns] returns the statements for the SyncStatus columns.
//
//	accounts, err := mirror.New(engine, mirror.Config[Account]{Service: "whm", Type: "account", Remote: adapter})
//	page, err := accounts.List(ctx, nawasync.Query{Search: "ann"})
//	job, err := accounts.Update(ctx, seen, func(a *Account) { a.Plan = "large" }, nawasync.Options{By: "user:7"})
//
// A Remote may have more abilities: [ScopeRemote] tells an empty scope from a lost permission,
// [PollingRemote] asks for the outcome of a write that returned [Accepted], and [ResumableRemote] goes on
// with a listing that a rate limit has stopped. [Config].Normalise and the interface [Canonical] say which
// values are equal. docs/repositories.md has the types of columns and what each class of error does.
//
// A change is dispatched in change.go and runs in apply_create.go, apply_update.go, apply_delete.go or
// apply_refresh.go. settle.go waits until the remote shows a write, verify.go compares what it shows
// with what was written, and merge.go finds conflicts, which answer.go answers. A sync is dispatched in
// sync_job.go. The method run in reconcile.go shows its steps: reconcile_list.go reads the
// pages, reconcile_batch.go compares them with the table, reconcile_write.go and
// reconcile_insert.go write the differences. reconcile_missing.go finds the rows that the
// listing did not contain, and reconcile_apply.go holds or marks them; apply_confirm.go asks the remote
// for them. deleted.go marks the rows of deleted objects, reconcile_returned.go brings them back, and purge.go
// removes them.
package mirror
