package secret

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sensitiveParts are the parts of a key, in lower case and without separators, that mark its value as a
// secret.
var sensitiveParts = []string{
	"password", "passwd", "passphrase", "passcode", "katasandi", "secret", "token", "apikey", "privatekey", "sshkey", "authkey", "accesskey",
	"authorization", "credential", "cookie", "pwd",
}

// keyMatcher finds the parts of a key that mark its value as a secret.
var keyMatcher = newMatcher(sensitiveParts)

// sensitiveKey reports whether a key marks its value as a secret by itself.
func sensitiveKey(key string) bool {
	sensitive, harmless := classifyKey(key)
	return sensitive && !harmless
}

// classifyKey reports whether a key contains the name of a secret, and whether its last word says that the
// value is only something about a secret.
func classifyKey(key string) (sensitive, harmless bool) {
	w := keyWords{ended: true}
	for i, r := range key {
		w.add(r, key[i:])
	}
	w.end()
	return w.found, w.found && w.words > 1 && slices.Contains(harmlessEndings, string(w.last.text[:w.last.n]))
}

// keyWords reads the words of a key: user[pinCode] has three.
type keyWords struct {
	word  keyWord // the present word
	last  keyWord // the last one that has ended and has a letter
	words int     // how many of these there were
	state int32   // of keyMatcher, which reads the words without what separates them

	ended, lower, upper bool // whether a new word begins, and what the last character was
	found               bool
}

// keyWord is a word of a key in lower case. The end of a long one is left out.
type keyWord struct {
	text [48]byte
	n    int
}

// add reads one more character, which rest begins with.
func (w *keyWords) add(r rune, rest string) {
	if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
		if w.ended, w.lower, w.upper = true, false, false; !isSeparator(r) {
			w.state = 0 // no name of a secret goes on behind a slash
		}
		return
	}
	upper := unicode.IsUpper(r)
	if w.ended || upper && (w.lower || w.upper && beginsWord(rest)) {
		w.end()
	}
	w.ended, w.upper, w.lower = false, upper, !upper
	var buffer [utf8.UTFMax]byte
	encoded := buffer[:utf8.EncodeRune(buffer[:], unicode.ToLower(r))]
	w.word.n += copy(w.word.text[w.word.n:], encoded)
	for _, char := range encoded {
		w.state = keyMatcher.step(w.state, char)
		w.found = w.found || keyMatcher.nodes[w.state].longest > 0
	}
}

// end ends the present word. A number at its end does not count, nor does a word that is a number.
func (w *keyWords) end() {
	for w.word.n > 0 && w.word.text[w.word.n-1] >= '0' && w.word.text[w.word.n-1] <= '9' {
		w.word.n--
	}
	if w.word.n > 0 {
		w.words++
		w.found = w.found || isSecretWord(string(w.word.text[:w.word.n]))
		w.last, w.word.n = w.word, 0
	}
}

// beginsWord reports whether the capital that s begins with is the first letter of a word behind an
// abbreviation: the C of OTPCode, and not the N of PINs.
func beginsWord(s string) bool {
	_, n := utf8.DecodeRuneInString(s)
	next, size := utf8.DecodeRuneInString(s[n:])
	if !unicode.IsLower(next) {
		return false
	}
	after, _ := utf8.DecodeRuneInString(s[n+size:])
	return next != 's' || unicode.IsLower(after)
}

func isSeparator(r rune) bool { return strings.ContainsRune("-_. []", r) }

// hides reports whether a key marks its value as a secret, by itself or by an extra key.
func hides(extra []string, key string) bool {
	if sensitive := sensitiveKey(key); sensitive || len(extra) == 0 {
		return sensitive
	}
	joined := normalise(key)
	return slices.ContainsFunc(extra, func(part string) bool {
		if whole, ok := strings.CutPrefix(part, "="); ok {
			return joined == whole
		}
		return strings.Contains(joined, part)
	})
}

// parseKeys sorts extra keys: those to mask, those to show, and those whose values are documents of their own.
func parseKeys(keys []string) (mask, show, documents []string) {
	for _, key := range keys {
		shown, isShown := strings.CutPrefix(key, "!")
		document, isDocument := strings.CutPrefix(key, "/")
		switch {
		case isShown:
			show = append(show, normalise(shown))
		case isDocument:
			documents = append(documents, normalise(document))
		case normalise(key) != "":
			mask = append(mask, normalise(key))
		}
	}
	return mask, show, documents
}

var separators = strings.NewReplacer("-", "", "_", "", " ", "", ".", "", "[", "", "]", "")

func normalise(key string) string { return separators.Replace(strings.ToLower(key)) }
