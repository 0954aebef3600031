package sqlkit

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Array builds the text of a PostgreSQL array, which every driver can pass. The zero value is an
// empty array.
type Array struct{ text strings.Builder }

// Append adds a value: nil, a string, []byte, bool or an integer.
func (a *Array) Append(value any) {
	if a.text.Len() > 0 {
		a.text.WriteByte(',')
	}
	switch v := value.(type) {
	case nil:
		a.text.WriteString("NULL")
	case string:
		a.text.WriteByte('"')
		for i := range len(v) {
			if v[i] == '"' || v[i] == '\\' {
				a.text.WriteByte('\\')
			}
			a.text.WriteByte(v[i])
		}
		a.text.WriteByte('"')
	case []byte:
		a.text.WriteString(`"\\x` + hex.EncodeToString(v) + `"`)
	default:
		fmt.Fprint(&a.text, v)
	}
}

// String returns the text of the array.
func (a *Array) String() string { return "{" + a.text.String() + "}" }
