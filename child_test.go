package nawasync_test

// runChild becomes a worker process when a test started this binary as one.
func runChild() bool { return false }
