package query

import (
	"fmt"
)

// Message is a text that comes into being before it is known for whom; what is passed to
// say stands in messages.txt too.
type Message struct {
	Format string
	Args   []any
}

func newMessage(format string, args ...any) Message { return Message{format, args} }

// String is the text in English.
func (t Message) String() string { return fmt.Sprintf(t.Format, t.Args...) }
