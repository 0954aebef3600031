package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Redactor removes known secrets from the errors, stacks, log lines and results of a job. It is
// safe for concurrent use.
type Redactor struct {
	masker   masker
	replacer *strings.Replacer // nil if no secret is known
}

// minRedacted is the minimum length in bytes of a secret that is redacted. Shorter secrets would
// also match parts of ordinary words.
const minRedacted = 6

// NewRedactor returns a Redactor for a job with the given arguments, as JSON. payload is the
// masked form of the arguments. The Redactor removes the values that Mask hides in the
// arguments, the given secrets, and all values that payload hides. The values that
// payload hides are needed because a Secret in a field of type any is an ordinary string after
// decoding and is therefore not among the given secrets.
func NewRedactor(arguments, payload []byte, secrets, extraKeys []string) *Redactor {
	m := masker{keys: normalisedKeys(extraKeys)}
	_, _ = m.document(arguments)
	var plain, shown any
	if !bytes.Equal(arguments, payload) && decodeNumbers(arguments, &plain) == nil && decodeNumbers(payload, &shown) == nil {
		m.found = hiddenValues(m.found, plain, shown)
	}
	r := &Redactor{masker: masker{keys: m.keys}}
	var forms []string
	for _, secret := range append(m.found, secrets...) {
		if len(secret) >= minRedacted && secret != Masked {
			forms = append(forms, encodings(secret)...)
		}
	}
	if len(forms) == 0 {
		return r
	}
	// Longer forms come first, so that a form that contains another is replaced as a whole.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Masked)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// encodings returns the forms in which a secret may occur in a text: plain, URL-encoded, as a
// JSON string, and in base64.
func encodings(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	var quoted bytes.Buffer
	writeString(&quoted, secret)
	plain, _ := json.Marshal(secret)
	forms = append(forms, strings.Trim(quoted.String(), `"`), string(plain[1:len(plain)-1]))
	// Base64 encodes groups of three bytes. Within a longer text, for example "user:password",
	// a secret can start at any of three positions of a group. The first and last characters
	// also depend on the bytes around the secret, so they are cut off.
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

// Text removes the known secrets from a text. It also masks secrets that it recognises by
// their syntax, as Mask does in strings.
func (r *Redactor) Text(text string) string {
	if r.replacer != nil {
		text = r.replacer.Replace(text)
	}
	m := masker{keys: r.masker.keys}
	return m.text(text)
}

// JSON masks a JSON document, as Mask does, and removes the known secrets from it. If the
// result is not valid JSON, for example because part of a number was replaced, the whole
// document is masked.
func (r *Redactor) JSON(document []byte) []byte {
	m := masker{keys: r.masker.keys}
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	if r.replacer != nil {
		out = []byte(r.replacer.Replace(string(out)))
		if !json.Valid(out) {
			return []byte(`"` + Masked + `"`)
		}
	}
	return out
}

// hiddenValues appends the strings and numbers of plain that shown replaces with "***".
func hiddenValues(found []string, plain, shown any) []string {
	if text, ok := shown.(string); ok && text == Masked {
		return leafValues(found, plain)
	}
	switch p := plain.(type) {
	case map[string]any:
		s, _ := shown.(map[string]any)
		for key, value := range p {
			if shownValue, ok := s[key]; ok {
				found = hiddenValues(found, value, shownValue)
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

// leafValues appends all strings and numbers within value.
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
