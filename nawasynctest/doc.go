// Package nawasynctest helps the authors of service modules to test them: [Work] runs one
// handler without an engine, [NewEngine] makes an engine that needs no server,
// [RequireDispatched] looks for a job, [WaitEnded] waits for its end, and [FakeRemote] is an
// external API in memory.
//
// It links an SQLite driver and a Redis in memory. Import it from tests only.
package nawasynctest
