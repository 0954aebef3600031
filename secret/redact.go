package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Redactor removes known secrets from texts that come from a job: errors,
// stacks, log lines, results.
type Redactor struct {
	masker   masker
	replacer *strings.Replacer // nil when there is nothing to replace
}

// minRedacted is the shortest secret that is searched for: a shorter one would
// black out words that only look like it.
const minRedacted = 6

// NewRedactor returns a Redactor that knows what Mask hides in the arguments, the given
// secrets, and whatever else the masked payload does not show: a Secret that came
// through a field of type any is a plain text by now.
func NewRedactor(arguments, payload []byte, secrets, extraKeys []string) *Redactor {
	m := masker{keys: normalisedKeys(extraKeys)}
	_, _ = m.document(arguments)
	var plain, shown any
	if !bytes.Equal(arguments, payload) && decodeNumbers(arguments, &plain) == nil && decodeNumbers(payload, &shown) == nil {
		m.found = hiddenValues(m.found, plain, shown)
	}
	s := &Redactor{masker: masker{keys: m.keys}}
	var forms []string
	for _, secret := range append(m.found, secrets...) {
		if len(secret) >= minRedacted && secret != Masked {
			forms = append(forms, encodings(secret)...)
		}
	}
	if len(forms) == 0 {
		return s
	}
	// Longest first: a form that contains another must go as a whole.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Masked)
	}
	s.replacer = strings.NewReplacer(pairs...)
	return s
}

// encodings are the forms in which a secret turns up in foreign texts.
func encodings(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	var quoted bytes.Buffer
	writeString(&quoted, secret)
	plain, _ := json.Marshal(secret)
	forms = append(forms, strings.Trim(quoted.String(), `"`), string(plain[1:len(plain)-1]))
	// In base64 a text has three faces, by where it begins in a group of three
	// bytes ("user:password"); its first and last characters mix with neighbours.
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)
			from, to := []int{0, 2, 3}[shift], len(text)
			if len(padded)%3 != 0 {
				to--
			}
			if to-from >= minRedacted {
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
}

// Text removes secrets from a text.
func (s *Redactor) Text(text string) string {
	if s.replacer != nil {
		text = s.replacer.Replace(text)
	}
	m := masker{keys: s.masker.keys}
	return m.text(text)
}

// JSON masks a document and removes secrets from its strings; a text that the
// removal breaks (a number, say) is hidden whole.
func (s *Redactor) JSON(document []byte) []byte {
	m := masker{keys: s.masker.keys}
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	if s.replacer != nil {
		out = []byte(s.replacer.Replace(string(out)))
		if !json.Valid(out) {
			return []byte(`"` + Masked + `"`)
		}
	}
	return out
}

// hiddenValues appends the texts of plain in whose place shown has "***".
func hiddenValues(found []string, plain, shown any) []string {
	if text, ok := shown.(string); ok && text == Masked {
		return leafValues(found, plain)
	}
	switch p := plain.(type) {
	case map[string]any:
		s, _ := shown.(map[string]any)
		for key, value := range p {
			if there, ok := s[key]; ok {
				found = hiddenValues(found, value, there)
			}
		}
	case []any:
		s, _ := shown.([]any)
		for i := range min(len(p), len(s)) {
			found = hiddenValues(found, p[i], s[i])
		}
	}
	return found
}

func leafValues(found []string, value any) []string {
	switch v := value.(type) {
	case string:
		found = append(found, v)
	case json.Number:
		found = append(found, v.String())
	case map[string]any:
		for _, inner := range v {
			found = leafValues(found, inner)
		}
	case []any:
		for _, inner := range v {
			found = leafValues(found, inner)
		}
	}
	return found
}
