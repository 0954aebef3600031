package secret

import "strings"

// textPairs is what a scanner knows of the pairs of names and values in JSON, as of headers.
type textPairs struct {
	named  bool // the last name was a secret key
	nameAt int  // the end of that name

	values [4]textValue // the last values whose names are not known yet; the zero value is none
	n      int          // how many there were
}

// textValue is the value of a pair in a text.
type textValue struct{ at, level int }

// noteName notes that a pair has a name in s[from:to], whose member begins at start. A value before it is
// masked.
func (sc *scanner) noteName(start, from, to int) {
	sc.named, sc.nameAt = sc.secretKey(sc.s[from:to]), to
	if !sc.named || sc.n == 0 {
		return
	}
	for i := range sc.values {
		if v := sc.values[(sc.n+len(sc.values)-1-i)%len(sc.values)]; v.at > 0 && sc.maskValueBefore(v, start) {
			break
		}
	}
	sc.values, sc.n = [4]textValue{}, 0
}

// noteValue notes a value at s[at:] whose name may follow.
func (sc *scanner) noteValue(at, level int) {
	sc.values[sc.n%len(sc.values)] = textValue{at, level}
	sc.n++
}

// maskValueBefore masks a value if it is in the same object as the name that begins at start.
func (sc *scanner) maskValueBefore(v textValue, start int) bool {
	before := scanner{s: sc.s[:start], masker: sc.masker} // so that nothing behind it is read
	open, found := v.at+before.backslashesAt(v.at), len(sc.found)
	var end int
	if open < start && sc.s[open] == '"' {
		end = before.jsonString(open, open-v.at)
	} else {
		end = before.jsonValue(v.at, v.level)
	}
	if end >= start || !sameObject(sc.s[end:start]) {
		sc.found = sc.found[:found]
		return false
	}
	sc.edits = append(sc.edits, before.edits...)
	return true
}

// backslashesAt returns how many backslashes s[i:] begins with.
func (sc *scanner) backslashesAt(i int) int {
	n := 0
	for i+n < len(sc.s) && sc.s[i+n] == '\\' {
		n++
	}
	return n
}

// sameObject reports whether the members before and after a text are of one object.
func sameObject(between string) bool {
	depth := 0
	for i := range len(between) {
		switch between[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0
}

// arrayPair masks the value of a pair such as ["token","x"] in a list of pairs, the value that follows the name
// of a header in a list, and the value of an option in the list of a command's arguments. The comma between
// them is at i.
func (sc *scanner) arrayPair(i int) int {
	closing := sc.backSpace(i) - 1
	if closing < 1 || sc.s[closing] != '"' && sc.s[closing] != '\'' {
		return 0
	}
	quote, level := sc.s[closing], 0
	var start int
	if quote == '"' {
		level = sc.backslashes(closing)
		start = sc.openingQuote(closing-level-1, level)
	} else {
		start = strings.LastIndexByte(sc.s[max(0, closing-maxKey):closing], '\'') + max(0, closing-maxKey)
	}
	if start < 1 || sc.s[start] != quote {
		return 0
	}
	key := sc.s[start+1 : max(start+1, closing-level)]
	before := sc.backSpace(start - level)
	if before < 1 || strings.IndexByte("[(,{", sc.s[before-1]) < 0 || !sc.secretKey(key) {
		return 0
	}
	at := sc.skipSpace(i + 1)
	open := at + sc.backslashesAt(at)
	if open == len(sc.s) || sc.s[open] != quote && !isNumber(sc.s[open]) {
		return 0
	}
	end := sc.endOfElement(open, open-at)
	if !sc.isPair(before, end, key, sc.s[min(open+1, end):end]) {
		return 0
	}
	switch {
	case isNumber(sc.s[open]):
		return sc.jsonValue(at, level)
	case quote == '"':
		return sc.jsonString(open, open-at)
	case sc.s[open+1:end] == Masked:
		return end
	}
	return sc.mask(open+1, end, sc.s[open+1:end])
}

// endOfElement returns the end of the string, without its quote, or of the number at s[open:].
func (sc *scanner) endOfElement(open, level int) int {
	switch sc.s[open] {
	case '"':
		return sc.endOfString(open+1, level, 0)
	case '\'':
		return sc.until(open+1, "'\n")
	}
	return sc.until(open, " \t\r\n\f\v,)}]")
}

// isPair reports whether the value that ends at end belongs to the secret key of an array, which begins before
// the given position.
func (sc *scanner) isPair(before, end int, key, value string) bool {
	if strings.HasPrefix(key, "--") {
		return !strings.HasPrefix(value, "-")
	}
	if mayBeHeader(key) && !isHeaderName(value) {
		return true
	}
	if before < 2 || strings.IndexByte("[(", sc.s[before-1]) < 0 {
		return false
	}
	for end < len(sc.s) && strings.IndexByte(`\"'`, sc.s[end]) >= 0 {
		end++
	}
	end = sc.skipSpace(end)
	outer := sc.backSpace(before - 1)
	return outer > 0 && strings.IndexByte("[(,", sc.s[outer-1]) >= 0 && (end == len(sc.s) || strings.IndexByte("])", sc.s[end]) >= 0)
}

func isNumber(char byte) bool { return char == '-' || char >= '0' && char <= '9' }
