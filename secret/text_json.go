package secret

import "strings"

// jsonMember masks the value of a secret key in JSON within a text, whose colon is at i. The JSON may be
// escaped, several times too, or cut off. It returns false if the colon does not follow a quoted key.
func (sc *scanner) jsonMember(i int) (end int, ok bool) {
	closing := sc.backSpace(i) - 1
	if closing < 1 || sc.s[closing] != '"' {
		return 0, false
	}
	level := sc.backslashes(closing)
	start := sc.openingQuote(closing-level-1, level)
	if start < 0 {
		return 0, false
	}
	key := sc.s[start+1 : closing-level]
	if strings.IndexByte(key, '\\') >= 0 {
		key = decodeText(key)
	}
	if strings.Contains(key, "://") {
		return 0, true // as in the errors of net/http, which quote the URL
	}
	at := sc.skipSpace(i + 1)
	open := at // the position of the quote, if the value is a string
	for open < len(sc.s) && sc.s[open] == '\\' {
		open++
	}
	quoted := open < len(sc.s) && sc.s[open] == '"'
	if quoted && isName(key) {
		sc.noteName(start-level, open+1, sc.endOfString(open+1, open-at, maxKey))
		return 0, true
	}
	secret := sc.secretKey(key)
	if isValue(key) && sc.named {
		secret = secret || sameObject(sc.s[sc.nameAt:start])
		sc.named = false
	}
	if !secret {
		if isValue(key) {
			sc.noteValue(at, level)
		}
		return 0, true
	}
	if quoted {
		return sc.jsonString(open, open-at), true
	}
	if sc.beginsAnother(at) {
		return 0, true // the value is missing
	}
	return sc.jsonValue(at, level), true
}

// beginsAnother reports whether what stands at i is not the value of a key, but a key of its own, as in
// "password: x" on the next line, or a PEM block.
func (sc *scanner) beginsAnother(i int) bool {
	if strings.HasPrefix(sc.s[i:], "-----BEGIN") {
		return true
	}
	if strings.HasPrefix(sc.s[i:], "(") {
		i++ // as in (password: x for user ann)
	}
	end := i
	for end < len(sc.s) && end-i < maxKey && (isWord(sc.s[end]) || sc.s[end] == '-') {
		end++
	}
	return end > i && end < len(sc.s) && (sc.s[end] == ':' || sc.s[end] == '=')
}

// backslashes returns how many backslashes there are before i.
func (sc *scanner) backslashes(i int) int {
	n := 0
	for n < i && n < maxKey && sc.s[i-1-n] == '\\' {
		n++
	}
	return n
}

// openingQuote returns the position of the quote that opens a key which ends at i, or -1.
func (sc *scanner) openingQuote(i, level int) int {
	for n := 0; n <= 4*maxKey && i-n >= 0; n++ {
		if at := i - n; sc.s[at] == '"' && sc.backslashes(at) <= level {
			if n == 0 {
				return -1
			}
			return at
		}
	}
	return -1
}

// endOfString returns the position of what closes a string that begins at i: a quote with as many backslashes
// as its first has, level, or the end of a string around it. It reads at most limit bytes, without limit if it
// is 0, and then returns their end.
func (sc *scanner) endOfString(i, level, limit int) int {
	end := len(sc.s)
	if limit > 0 {
		end = min(end, i+limit)
	}
	escaped := 0
	for ; i < end; i++ {
		switch sc.s[i] {
		case '\\':
			escaped++
			continue
		case '"':
			if closes(escaped, level) {
				return i - min(escaped, level)
			}
		}
		escaped = 0
	}
	return end
}

// closes reports whether a quote after n backslashes ends a string whose quotes have level backslashes.
func closes(n, level int) bool {
	for ; level > 0; level /= 2 {
		if n%2 == 0 {
			return true // it ends a string around this one
		}
		n /= 2
	}
	return n%2 == 0
}

// jsonString masks the string whose quote is at i. A string that is cut off gets its quote.
func (sc *scanner) jsonString(i, level int) int {
	end := sc.endOfString(i+1, level, 0)
	value := sc.s[i+1 : end]
	if value == "" || value == Masked {
		return end
	}
	text := Masked
	if end == len(sc.s) {
		text += strings.Repeat(`\`, level) + `"`
	}
	sc.remember(value, func(s string) (string, error) { return decodeText(s), nil })
	return sc.replace(i+1, end, text, value)
}

// jsonValue masks the object, array, number or word at i.
func (sc *scanner) jsonValue(i, level int) int {
	end := sc.until(i, " \t\r\n\f\v,}]\"{[\\")
	if i < len(sc.s) && (sc.s[i] == '{' || sc.s[i] == '[') {
		end = sc.endOfBrackets(i)
	}
	if value := sc.s[i:end]; value == "" || value == "null" {
		return end
	}
	quote := strings.Repeat(`\`, level) + `"`
	return sc.replace(i, end, quote+Masked+quote, sc.s[i:end])
}

// endOfBrackets returns the end of the object or array at i.
func (sc *scanner) endOfBrackets(i int) int {
	depth := 0
	for i < len(sc.s) {
		switch sc.s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			level := sc.backslashes(i)
			i = sc.endOfString(i+1, level, 0) + level
		}
		i++
	}
	return len(sc.s)
}
