package secret

import (
	"encoding/json"
	"strings"
)

// MaskShort replaces each string, number and key of a JSON document that contains one of the values by
// "***". A Redactor finds short values only as whole words, but a MarshalJSON or MarshalText may write a
// short Secret beside other text. Values of fewer than 3 bytes are left alone: most texts contain them. If
// nothing is replaced, MaskShort returns the document itself. A document that is not valid JSON is masked as
// a whole.
func MaskShort(document []byte, values []string) []byte {
	var short []string
	for _, value := range values {
		if len(value) >= 3 && len(value) < minRedacted {
			short = append(short, value)
		}
	}
	if len(short) == 0 {
		return document
	}
	var decoded any
	if err := decodeNumbers(document, &decoded); err != nil {
		return []byte(`"` + Masked + `"`)
	}
	found := false
	decoded = maskShort(decoded, func(text string) bool {
		for _, value := range short {
			if text != Masked && strings.Contains(text, value) {
				found = true
				return true
			}
		}
		return false
	})
	if !found {
		return document
	}
	out, err := json.Marshal(decoded)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	return out
}

func maskShort(value any, hides func(text string) bool) any {
	switch v := value.(type) {
	case string:
		if hides(v) {
			return Masked
		}
	case json.Number:
		if hides(v.String()) {
			return Masked
		}
	case []any:
		for i := range v {
			v[i] = maskShort(v[i], hides)
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			if hides(key) {
				key = Masked
			}
			out[key] = maskShort(item, hides)
		}
		return out
	}
	return value
}
