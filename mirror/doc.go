// Package mirror keeps a local table equal to the objects of an external API.
//
// Declare a snapshot struct and a [Remote], the adapter of the API, and [New] makes a
// repository of them: pages read the table, each change is a job that looks at the
// remote before it writes, and syncs copy the remote's listing into the table.
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
// Further roles are natural (content, and the name that finds an object before the remote
// gave it an id), set (a list whose order means nothing) and ignored. The table is the
// host's; [StatusColumns] has the statements for SyncStatus.
//
//	accounts, err := mirror.New(engine, mirror.Config[Account]{Service: "whm", Type: "account", Remote: adapter})
//	page, err := accounts.List(ctx, nawasync.Query{Search: "ann"})
//	job, err := accounts.Update(ctx, seen, func(a *Account) { a.Plan = "large" }, nawasync.Options{By: "user:7"})
//
// A change begins in change.go and runs in apply_create.go, apply_update.go,
// apply_delete.go or apply_refresh.go; conflicts are answered in answer.go. A sync begins
// in sync_job.go. Its order is the method run of reconcile.go: pages come in
// reconcile_list.go, are compared in reconcile_batch.go and written in reconcile_write.go
// and reconcile_insert.go; what was not listed is found in reconcile_missing.go, and held,
// marked or deleted in reconcile_prune.go.
package mirror
