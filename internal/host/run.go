package host

import (
	"encoding/json"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// RunOptions are what a run without an engine is made of.
type RunOptions struct {
	Job            tracker.Job
	IdempotencyKey string
	Redactor       func() *secret.Redactor
}

// RunRecord is what a handler has left in a run without an engine.
type RunRecord struct {
	Log        string
	Result     json.RawMessage // nil when there is none
	Progress   json.RawMessage // the last; nil when there is none
	BeganWrite bool
	OnSuccess  func(tx *gorm.DB) error // runs the hooks, in order
	Outcome    tracker.Outcome         // what the handler's error means
}
