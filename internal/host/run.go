package host

import (
	"encoding/json"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// RunOptions configures a run without an engine, for tests of handlers.
type RunOptions struct {
	Job            tracker.Job
	IdempotencyKey string
	Redactor       func() *secret.Redactor
}

// RunRecord is what a handler recorded in a run without an engine.
type RunRecord struct {
	Log        string
	Result     json.RawMessage // nil if the handler set none
	Progress   json.RawMessage // the last progress; nil if the handler reported none
	BeganWrite bool
	OnSuccess  func(tx *gorm.DB) error // runs the handler's OnSuccess hooks in order
	Outcome    tracker.Outcome         // derived from the handler's error
}
