package sqlkit

import (
	"encoding/json"
	"strings"
)

// CleanText returns a form of text that every database can store. It replaces invalid UTF-8 and
// NUL, because PostgreSQL refuses them and one refused text fails a whole batch. A text longer
// than limit bytes is cut between two runes and ends with a mark.
func CleanText(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	if len(text) <= limit {
		return text
	}
	const mark = "… (cut)"
	cut := max(0, limit-len(mark))
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + mark
}

// EscapeLike escapes text for use in LIKE … ESCAPE '!'.
func EscapeLike(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

// JSONText returns v encoded as JSON.
func JSONText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
