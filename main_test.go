package nawasync_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestMain(m *testing.M) {
	if enginetest.RunChild(runChild) {
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(testdb.ReplicaLeak))
}
