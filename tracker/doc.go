// Package tracker reads jobs from the database: single jobs, their attempts, searches, open
// and stuck jobs, statistics, scopes, schedules, and the audit log. It never writes. It does
// not import the engine, so any process that reaches the database can show jobs.
//
// [New] returns a [Reader]; its methods, such as [Reader.Get] and [Reader.Search], run the
// queries. A [Job] is one row, and its [Status] says how far the job is. Times are UTC.
package tracker
