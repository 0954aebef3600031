// Package tracker reads jobs: one, its attempts, lists and searches of them, what is
// open or stuck, statistics, scopes, schedules, and the audit log. It writes nothing, and
// links no engine, so that pages and tools can show jobs from any process that reaches
// the database.
//
// [New] makes a [Reader], which [Reader.Get], [Reader.Search] and the other methods
// belong to. A [Job] is one row; its [Status] says where it stands. Times are UTC.
package tracker
