package secret

import (
	"strings"
	"unicode"
)

// schemes are the words between the name of a header and its secret.
var schemes = []string{"basic", "bearer", "digest", "negotiate", "ntlm", "hawk", "oauth", "bot", "whm", "cpanel", "token", "apikey"}

// header masks the values of headers that are the rest of the line. It returns true if the key is such a
// header.
func (sc *scanner) header(i int) (int, bool) {
	end := sc.backSpace(i)
	if end > 0 && (sc.s[end-1] == '"' || sc.s[end-1] == '\'') {
		end--
	}
	start, ok := sc.keyBefore(strings.LastIndexFunc(sc.s[:end], func(r rune) bool { return r != '\\' }) + 1)
	if !ok || !isHeader(sc.s[start:end]) {
		return 0, false
	}
	at := sc.skipSpace(i + 1)
	if at < len(sc.s) && strings.IndexByte(`"'[`, sc.s[at]) >= 0 {
		at++
	}
	word := wordAt(sc.s, at)
	rest := at + len(word)
	switch {
	case rest < len(sc.s) && sc.s[rest] == ' ' && isScheme(word):
		for rest < len(sc.s) && sc.s[rest] == ' ' {
			rest++
		}
		at = rest
	case at < len(sc.s) && unicode.IsLower(rune(sc.s[at])) && sc.isProse(start, i, at): // a scheme begins with a capital
		return 0, true
	}
	line := sc.until(at, "\r\n")
	if value := sc.s[at:line]; value != "" && value != Masked {
		return sc.mask(at, line, strings.Trim(value, `"'`)), true
	}
	return line, true
}

// isHeader reports whether the rest of the line after a key is a secret.
func isHeader(key string) bool {
	for _, name := range []string{"authorization", "cookie"} {
		if n := len(key) - len(name); n >= 0 && strings.EqualFold(key[n:], name) {
			return true
		}
	}
	return false
}

func isScheme(word string) bool {
	for _, scheme := range schemes {
		if strings.EqualFold(word, scheme) {
			return true
		}
	}
	return false
}

// wordAt returns the letters at s[i:], at most 64 bytes.
func wordAt(s string, i int) string {
	end := i
	for j, r := range s[i:min(len(s), i+maxKey)] {
		if !unicode.IsLetter(r) {
			return s[i:end]
		}
		end = i + j + len(string(r))
	}
	return s[i:min(end, len(s))]
}
