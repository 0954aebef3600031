package bulk

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// timeFormat is how times are written in array literals and for COPY.
const timeFormat = "2006-01-02 15:04:05.999999Z07:00"

// arrayText returns values as a PostgreSQL array literal. It does not check texts for NUL or
// invalid UTF-8, which the database refuses.
func arrayText(values []any) (string, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		switch v := value.(type) {
		case nil:
			b.WriteString("NULL")
		case string:
			quote(&b, v)
		case int64:
			b.WriteString(strconv.FormatInt(v, 10))
		case float64:
			b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		case bool:
			b.WriteString(strconv.FormatBool(v))
		case []byte:
			quote(&b, `\x`+hex.EncodeToString(v))
		case time.Time:
			quote(&b, v.Format(timeFormat))
		default:
			return "", fmt.Errorf("a value of type %T %w", value, ErrValue)
		}
	}
	b.WriteByte('}')
	return b.String(), nil
}

// quote writes a text as a quoted element of an array literal.
func quote(b *strings.Builder, text string) {
	b.WriteByte('"')
	for {
		i := strings.IndexAny(text, `"\`)
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		b.WriteByte('\\')
		b.WriteByte(text[i])
		text = text[i+1:]
	}
	b.WriteString(text)
	b.WriteByte('"')
}
