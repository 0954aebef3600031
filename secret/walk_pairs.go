package secret

import (
	"slices"
	"strings"
)

// pairLevel is what a level of the walk knows of its pairs of a name and a value, as of headers: an object
// such as {"value":"x","name":"Authorization"}, or an array such as ["Authorization","x"]. A value is written
// before it is known whether its name is that of a secret, so it is remembered.
type pairLevel struct {
	first  int       // the level's values are w.values[first:]
	open   bool      // the present value is to be remembered
	start  pairValue // where it begins
	wanted bool      // the next value is to be remembered

	named  bool // the object has a member name whose value is a secret key
	pair   bool // the array is within an array and begins with a secret key
	header bool // the array has the name of a secret header
	option bool // the last string of the array is the option of a command, as in --password
}

// pairValue is where a value of a pair is, in what was written and in the document.
type pairValue struct{ out, source span }

// beginValue notes the start of a value of the level, which is not hidden.
func (w *walk) beginValue(l *level) {
	if !l.object {
		l.wanted = l.wanted || l.pair && l.n == 2
	}
	l.open = l.wanted
	l.wanted = false
	l.start = pairValue{out: span{from: w.out.Len()}, source: span{from: w.at}}
}

// endValue notes the end of a value of the level.
func (w *walk) endValue(l *level) {
	if l == nil || !l.open {
		return
	}
	l.open = false
	v := l.start
	v.out.to, v.source.to = w.out.Len(), w.end
	w.values = append(w.values, v)
}

// noteName notes the name of a pair.
func (w *walk) noteName(l *level, name string) {
	if w.secretKey(name) {
		l.named = true
		w.hide(l)
	}
}

// noteElement notes a string of an array, which has begun.
func (w *walk) noteElement(l *level, text string) {
	l.option = strings.HasPrefix(text, "--") && w.secretKey(text)
	switch {
	case l.n == 1 && len(w.stack) > 1 && !w.stack[len(w.stack)-2].object:
		l.pair = w.secretKey(text)
	case l.n%2 == 1 && w.secretHeader(text):
		l.header, l.wanted = true, true
	case l.open && isHeaderName(text):
		l.open = l.pair // a list of names
	}
	if l.n == 1 && l.pair && w.secretHeader(text) {
		l.header = true
	}
}

// secretHeader reports whether a text is the name of a header whose value is a secret.
func (m *masker) secretHeader(text string) bool { return mayBeHeader(text) && m.secretKey(text) }

func mayBeHeader(key string) bool { return isHeader(key) || strings.IndexByte(key, '-') > 0 }

// endPairs decides about the values of a level that ends.
func (w *walk) endPairs(l *level) {
	if !l.object && (l.pair && l.n == 2 || l.header && l.n%2 == 0) {
		w.hide(l)
	}
	w.values = w.values[:l.first]
}

// hide hides the values of the level.
func (w *walk) hide(l *level) {
	w.hiddenValues = append(w.hiddenValues, w.values[l.first:]...)
	w.values = w.values[:l.first]
}

// result returns the document with the hidden values masked.
func (w *walk) result(document []byte) []byte {
	if len(w.hiddenValues) == 0 {
		return w.out.Bytes()
	}
	edits, end := make([]edit, len(w.hiddenValues)), 0
	slices.SortFunc(w.hiddenValues, func(a, b pairValue) int { return a.source.from - b.source.from })
	for i, v := range w.hiddenValues {
		edits[i] = edit{v.out, `"` + Masked + `"`}
		if v.source.to > end && w.collect { // else it is within another
			end = v.source.to
			var plain any
			if decodeNumbers(document[v.source.from:v.source.to], &plain) == nil {
				w.found = leafValues(w.found, plain)
			}
		}
	}
	return []byte(apply(w.out.String(), edits, w.out.Len()))
}

// nameKeys are the keys of names in pairs, and valueKeys those of their values.
var (
	nameKeys  = []string{"name", "key", "header", "k", "field", "param", "parameter", "variable", "header_name"}
	valueKeys = []string{"value", "values", "val", "v"}
)

// isName reports whether the value of a key may be the name of a header.
func isName(key string) bool { return isOneOf(nameKeys, key) }

// isValue reports whether a key may be that of a header's value.
func isValue(key string) bool { return isOneOf(valueKeys, key) }

// harmlessHeaders are common names of headers whose values are no secrets.
var harmlessHeaders = []string{
	"accept", "accept-encoding", "accept-language", "cache-control", "content-length", "content-type", "host", "origin", "referer", "user-agent",
	"x-requested-with",
}

// isHeaderName reports whether a text is likely the name of a header and not a value.
func isHeaderName(text string) bool {
	return isOneOf(harmlessHeaders, text) || hasPrefixFold(text, "x-") && !strings.ContainsAny(text, " :=/")
}

func isOneOf(list []string, text string) bool {
	return slices.ContainsFunc(list, func(item string) bool { return len(item) == len(text) && strings.EqualFold(item, text) })
}
