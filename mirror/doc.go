// Package mirror keeps a local table equal to the objects of an external API.
//
// Declare a snapshot struct and a [Remote], the adapter of the API, and [New] makes a
// repository of them: pages read the table, each change is a job that looks at the
// remote before it writes, and syncs copy the remote's listing into the table.
//
//	accounts, err := mirror.New(engine, mirror.Config[Account]{Service: "whm", Type: "account", Remote: adapter})
//	page, err := accounts.List(ctx, nawasync.Query{Search: "ann"})
//	job, err := accounts.Update(ctx, seen, func(a *Account) { a.Plan = "large" }, nawasync.Options{By: "user:7"})
//
// A change begins in change.go and runs in apply_create.go, apply_update.go,
// apply_delete.go or apply_refresh.go; conflicts are answered in answer.go. A sync begins
// in syncjob.go and runs in reconcile.go, which reads from top to bottom.
package mirror
