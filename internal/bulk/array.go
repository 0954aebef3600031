package bulk

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const timeFormat = "2006-01-02 15:04:05.999999Z07:00"

// arrayText is a PostgreSQL array of texts. A NUL or bad UTF-8 in it is the database's
// to refuse.
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
			return "", fmt.Errorf("%T is no value for a column", value)
		}
	}
	b.WriteByte('}')
	return b.String(), nil
}

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
