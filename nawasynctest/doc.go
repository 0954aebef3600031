// Package nawasynctest helps to test handlers and repositories: [Work] runs one handler without
// an engine, [NewEngine] returns an engine that needs no servers, [Drain] runs its jobs without
// waiting for delays and backoffs, [Clock] is a clock that the test sets, [RequireDispatched] finds a
// dispatched job, [WaitEnded] waits until a job of a started engine has finished, [FakeRemote] is
// an external API in memory, and [TestRemote] tests the adapter of an external API.
//
// The package links an SQLite driver and an in-memory Redis server. Import it only from tests.
package nawasynctest
