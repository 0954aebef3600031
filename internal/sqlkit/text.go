package sqlkit

import (
	"encoding/json"
	"strings"
)

// CleanText makes a text from outside storable in every database: valid UTF-8,
// without NUL (PostgreSQL refuses it, and one refused text fails a whole batch),
// cut to limit bytes at a rune's edge.
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

// EscapeLike escapes a text for LIKE … ESCAPE '!'.
func EscapeLike(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

// JSONText is v in JSON, as a text.
func JSONText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
