package dns_test

import (
	"os"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
)

func TestMain(m *testing.M) {
	if enginetest.RunChild(killedChild) {
		return
	}
	os.Exit(m.Run())
}
