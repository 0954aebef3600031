package secret

import (
	"slices"
	"strings"
	"unicode"
)

// proseWords begin what a sentence says of a secret. They are no values.
var proseWords = []string{
	"a", "an", "and", "bad", "can", "cannot", "denied", "does", "empty", "expired", "failed", "had", "has", "in", "incorrect", "invalid", "is",
	"malformed", "mismatch", "missing", "must", "no", "not", "or", "rejected", "required", "revoked", "should", "the", "this", "to", "too", "unexpected",
	"unknown", "was", "with", "wrong", "your",
}

// stateWords are those that say it alone, as in "token: expired".
var stateWords = []string{
	"denied", "empty", "eof", "expired", "failed", "incorrect", "invalid", "malformed", "mismatch", "missing", "rejected", "required", "revoked",
	"unexpected", "unknown", "wrong",
}

// connectors follow a value in a sentence, as in "password: x for user ann".
var connectors = []string{"and", "as", "at", "by", "does", "for", "from", "is", "of", "on", "was", "with"}

// isProse reports whether what stands at s[at:], behind the key at start and the colon at i, is a sentence about
// the secret and not its value: several words, of which the first can begin it or the second is no
// connection. A key that opens a bracket, and one right before its value, has a value.
func (sc *scanner) isProse(start, i, at int) bool {
	word := wordAt(sc.s, at)
	end := at + len(word)
	if (end == len(sc.s) || strings.IndexByte(" .,;:!)\r\n", sc.s[end]) >= 0) && slices.Contains(stateWords, strings.ToLower(word)) {
		return true
	}
	if word == "" || end+1 >= len(sc.s) || sc.s[end] != ' ' || !unicode.IsLetter(rune(sc.s[end+1])) {
		return false
	}
	if slices.Contains(proseWords, strings.ToLower(word)) {
		return true
	}
	second := wordAt(sc.s, end+1)
	after := end + 1 + len(second)
	switch {
	case at == i+1, start > 0 && strings.IndexByte("([{", sc.s[start-1]) >= 0:
		return false
	case after < len(sc.s) && strings.IndexByte(":=", sc.s[after]) >= 0:
		return false // as in password: x user: ann
	}
	return !slices.Contains(connectors, strings.ToLower(second))
}
