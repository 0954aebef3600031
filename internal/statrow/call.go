package statrow

import "encoding/json"

// Calls is the stored form of the calls of an attempt.
type Calls struct {
	Calls []Call `json:"calls"`
	More  int    `json:"more,omitempty"` // calls that are not stored, after the first half of those that are
}

// Call is the stored form of one call. Times are in microseconds.
type Call struct {
	Method   string `json:"m"`
	Template string `json:"t"`
	Status   int    `json:"s,omitempty"`
	Class    string `json:"c,omitempty"`
	At       int64  `json:"at"`
	Duration int64  `json:"d"`
}

// String returns the stored text, or "" if there are none.
func (c *Calls) String() string {
	if len(c.Calls) == 0 {
		return ""
	}
	text, _ := json.Marshal(c) // a struct of texts and numbers marshals
	return string(text)
}
