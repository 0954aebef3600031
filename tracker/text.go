package tracker

import "strings"

// Limits of texts that come from outside. What is longer is cut, and says so.
const (
	MaxError  = 8 << 10
	MaxStack  = 32 << 10
	MaxLog    = 64 << 10
	MaxResult = 64 << 10
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
