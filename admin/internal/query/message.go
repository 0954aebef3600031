package query

import (
	"fmt"
)

// Message is a text that the pages translate when they show it. messages.txt lists the formats that
// are passed to newMessage.
type Message struct {
	Format string
	Args   []any
}

func newMessage(format string, args ...any) Message { return Message{format, args} }

// String returns the text in English.
func (m Message) String() string { return fmt.Sprintf(m.Format, m.Args...) }
