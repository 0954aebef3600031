package secret

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Redactor removes known secrets from the errors, stacks, log lines, results and payload of a job. It
// finds them as they are, in percent encoding, with HTML entities, and with the escape sequences of JSON,
// Go and C, each also three times over; in base64, also wrapped into lines, in hexadecimal digits and in
// lists of numbers, each also twice over; and in UTF-16. It finds a secret of 3 to 5 bytes only as a whole
// word that is in none of the last four. It does not look for shorter secrets, which most texts contain, nor
// for values of less than 6 bytes that only their key marks as a secret, unless they have 4 and a digit.
// Where another has cut a text, before "…" or "...", it also removes the beginning of a secret.
// If the secrets have together more than 2 MiB, it masks every text as a whole. A Redactor is safe for
// concurrent use.
type Redactor struct{ masker masker }

// NewRedactor returns a Redactor for a job with the given arguments, as JSON. payload is the
// masked form of the arguments. The Redactor removes the values that Mask hides in the
// arguments, the given secrets, and all values that payload hides. The values that
// payload hides are needed because a Secret in a field of type any is an ordinary string after
// decoding and is therefore not among the given secrets.
func NewRedactor(arguments, payload []byte, secrets, extraKeys []string) *Redactor {
	m := newMasker(extraKeys)
	m.collect = true
	_, _ = m.document(arguments)
	var plain, shown any
	if !bytes.Equal(arguments, payload) && decodeNumbers(arguments, &plain) == nil && decodeNumbers(payload, &shown) == nil {
		m.found = hiddenValues(m.found, plain, shown)
	}
	m.known = newKnown(append(slices.DeleteFunc(m.found, isOrdinary), secrets...))
	return &Redactor{masker{keys: m.keys, known: m.known, shown: m.shown, documents: m.documents}}
}

// isOrdinary reports whether a value may well be an ordinary word or number, although its key is that of a
// secret.
func isOrdinary(value string) bool {
	return len(value) < minWord+1 || len(value) < minRedacted && !strings.ContainsAny(value, "0123456789")
}

// Text removes the known secrets from a text. It also masks secrets that it recognises by
// their syntax, as Mask does in strings.
func (r *Redactor) Text(text string) string {
	m := r.masker
	return m.text(text)
}

// lookahead is how many bytes behind a cut Clip reads. Each piece of a secret is shorter in every encoding,
// so none is cut in two.
const lookahead = 8 << 10

// cutMark is the end of a text that was cut, as in the texts that the store cuts.
const cutMark = "… (cut)"

// Clip is Text for a text that is stored in at most limit bytes. It does not read a longer text to its end,
// and cuts it after redacting, so that no part of a secret is left. A text that was cut ends with a mark.
func (r *Redactor) Clip(text string, limit int) string {
	m := r.masker
	if len(text) <= limit+lookahead {
		text = m.text(text)
		if len(text) <= limit {
			return text
		}
	} else {
		text = text[:limit+lookahead]
		text = apply(text, m.edits(text), limit)
	}
	cut := min(len(text), max(0, limit-len(cutMark)))
	for cut > 0 && cut < len(text) && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + cutMark
}

// JSON masks a JSON document, as Mask does, and removes the known secrets from it, also from keys. If the
// result is not valid JSON, for example because part of a number was replaced, the whole
// document is masked.
func (r *Redactor) JSON(document []byte) []byte {
	m := r.masker
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	// A secret can still be in a list of numbers.
	if edits := m.known.longOnly().edits(string(out)); len(edits) > 0 {
		out = []byte(apply(string(out), edits, len(out)))
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
