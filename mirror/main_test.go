package mirror_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestMain(m *testing.M) {
	if enginetest.RunChild(shopChild) {
		return
	}
	_ = flag.Set("rapid.checks", defaultChecks)
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(testdb.ReplicaLeak))
}

// defaultChecks is how often a property is checked unless the flag rapid.checks says otherwise.
const defaultChecks = "40"
