package tracker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/statrow"
)

// Call is one call of an external API that an attempt made through package remote. Nothing of its request
// and its answer is kept but the status.
type Call struct {
	Method    string        `json:"method"`
	Template  string        `json:"template"`         // of the endpoint, or "other"
	Status    int           `json:"status,omitempty"` // of HTTP; 0 without an answer
	Class     string        `json:"class,omitempty"`  // of the error; "" for none
	StartedAt time.Time     `json:"started_at"`
	Duration  time.Duration `json:"-"` // duration_ms in JSON
}

// MarshalJSON writes the duration as duration_ms.
func (c Call) MarshalJSON() ([]byte, error) {
	type plain Call
	return json.Marshal(struct {
		plain
		DurationMS int64 `json:"duration_ms"`
	}{plain(c), c.Duration.Milliseconds()})
}

// MaxCallsKept is how many calls of an attempt are stored: the first and the last 25.
const MaxCallsKept = 50

// setCalls reads the calls of an attempt in their stored form.
func (a *Attempt) setCalls(text string) error {
	if text == "" {
		return nil
	}
	var stored statrow.Calls
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return fmt.Errorf("read the calls of an attempt: %w", err)
	}
	for _, c := range stored.Calls {
		a.Calls = append(a.Calls, Call{
			Method: c.Method, Template: c.Template, Status: c.Status, Class: c.Class, StartedAt: time.UnixMicro(c.At).UTC(), Duration: time.Duration(c.Duration) * time.Microsecond,
		})
	}
	a.MoreCalls = stored.More
	return nil
}
