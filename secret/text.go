package secret

import (
	"strings"
	"unicode"
)

// text masks the known secrets in a text, and secrets that can be recognised by their syntax: in URLs, form
// values, HTTP credentials and headers, sentences, and JSON.
func (m *masker) text(s string) string {
	if inner, ok := m.nested(s); ok {
		return inner
	}
	for range maxPasses {
		edits := m.edits(s)
		if len(edits) == 0 {
			break
		}
		s = apply(s, edits, len(s))
	}
	return s
}

// maxPasses is how often a text is searched, because what is left of it may have another form. Most texts
// are searched once.
const maxPasses = 3

// edits returns the edits that mask a text which is not a JSON document.
func (m *masker) edits(s string) []edit {
	edits := m.known.edits(s)
	if !strings.ContainsAny(s, triggers) {
		return edits
	}
	sc := scanner{masker: m, s: s, edits: edits, colon: -1}
	sc.scan()
	return sc.edits
}

// scanner looks for secrets by their syntax. It reads the text once: what it masks, it skips, and what it
// reads ahead or back is short or is not read again.
type scanner struct {
	*masker
	s     string
	edits []edit

	// The word up to the present position: what is between white space and quotes.
	wordStart int
	colon     int // the first colon in it that a DSN's password may follow, or -1
	wordEnd   int // a position in the present word that no end of it is before

	named  bool // the last JSON member name, key or header was a secret key
	nameAt int  // the end of that member
}

// triggers are the characters at which scan looks around.
const triggers = ":=@- "

func (sc *scanner) scan() {
	for i := 0; i < len(sc.s); {
		next := i + 1
		switch sc.s[i] {
		case ':':
			next = max(next, sc.atColon(i))
		case '=':
			next = max(next, sc.pair(i))
		case '@':
			sc.dsn(i)
		case '-':
			next = max(next, sc.pem(i), sc.curl(i))
		case ' ', '\t', '\n', '\r', '\f', '\v', '"', '\'':
			if sc.s[i] == ' ' {
				next = max(next, sc.credentials(i))
			}
			sc.wordStart, sc.colon = next, -1
		}
		sc.skip(i+1, next)
		i = next
	}
}

// skip notes that a word has ended in s[i:j].
func (sc *scanner) skip(i, j int) {
	for ; i < j; i++ {
		if char := sc.s[i]; isSpace(char) || char == '"' || char == '\'' {
			sc.wordStart, sc.colon = j, -1
			return
		}
	}
}

// mask adds an edit for s[from:to] and returns to. found is the secret in it.
func (sc *scanner) mask(from, to int, found string) int {
	return sc.replace(from, to, Masked, found)
}

func (sc *scanner) replace(from, to int, text, found string) int {
	sc.remember(found, nil)
	sc.edits = append(sc.edits, edit{span{from, to}, text})
	return to
}

// atColon masks what follows a colon. It returns the end of what it has masked, or 0.
func (sc *scanner) atColon(i int) int {
	if sc.colon < 0 && i > sc.wordStart && strings.IndexByte(":/@", sc.s[i-1]) < 0 {
		sc.colon = i
	}
	if end := sc.userinfo(i); end > 0 {
		return end
	}
	if end, ok := sc.jsonMember(i); ok {
		return end
	}
	if end, ok := sc.header(i); ok {
		return end
	}
	return sc.sentence(i)
}

func isSpace(char byte) bool { return char == ' ' || char >= '\t' && char <= '\r' }

// skipSpace returns the first position from i on that has no white space.
func (sc *scanner) skipSpace(i int) int {
	for i < len(sc.s) && isSpace(sc.s[i]) {
		i++
	}
	return i
}

// backSpace returns the position behind the last character before i that is no white space.
func (sc *scanner) backSpace(i int) int {
	for i > 0 && isSpace(sc.s[i-1]) {
		i--
	}
	return i
}

// until returns the first position from i on with one of the characters, or the end.
func (sc *scanner) until(i int, chars string) int {
	if n := strings.IndexAny(sc.s[i:], chars); n >= 0 {
		return i + n
	}
	return len(sc.s)
}

// maxKey is the maximum length of a key in a text.
const maxKey = 64

// keyBefore returns the start of the key that ends at end. A longer word is not a key.
func (sc *scanner) keyBefore(end int) (int, bool) {
	start := end
	for start > 0 && (isWord(sc.s[start-1]) || sc.s[start-1] == '-' || sc.s[start-1] == '.') {
		if start--; end-start > maxKey {
			return 0, false
		}
	}
	if start > 0 && start < end && sc.s[start-1] == '\\' && strings.IndexByte("nrt", sc.s[start]) >= 0 {
		start++ // the letter of \n
	}
	return start, start < end
}

// schemes are the words between the name of a header and its secret.
var schemes = []string{"basic", "bearer", "digest", "negotiate", "whm", "cpanel", "token", "apikey"}

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
	case isProse(sc.s, at):
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

// isProse reports whether a word at s[i:] is one of several of a sentence.
func isProse(s string, i int) bool {
	word := wordAt(s, i)
	end := i + len(word)
	return word != "" && end+1 < len(s) && s[end] == ' ' && unicode.IsLetter(rune(s[end+1]))
}

// sentence masks the value of a secret key after a colon: in a header, YAML or a sentence. A single word
// between others is left, as in "invalid token: unexpected end of file".
func (sc *scanner) sentence(i int) int {
	end := sc.backSpace(i)
	if end > 0 && sc.s[end-1] == '\'' {
		end-- // as Python prints a dict
	}
	start, ok := sc.keyBefore(end)
	if !ok || start > 0 && !isSpace(sc.s[start-1]) && strings.IndexByte(`,;({[|'"nrt`, sc.s[start-1]) < 0 {
		return 0
	}
	at := sc.skipSpace(i + 1)
	if !sc.secretKey(sc.s[start:end]) || at == len(sc.s) || isProse(sc.s, at) || strings.HasPrefix(sc.s[at:], "//") {
		return 0
	}
	const ends = " \t\n\r\f\v,;\"'<>"
	if strings.ContainsAny(sc.s[i:at], "\r\n") && sc.until(at, ends) != sc.until(at, "\r\n") {
		return 0 // the next line is not a single value
	}
	return sc.value(at, ends)
}

// value masks the value at s[at:], which may be in quotes, up to one of the ends. It returns its end.
// A quote that is not closed holds the rest of the line.
func (sc *scanner) value(at int, ends string) int {
	if at == len(sc.s) {
		return 0
	}
	var end int
	var plain string
	if quote := sc.s[at]; quote == '"' || quote == '\'' {
		end = sc.until(at+1, string(rune(quote))+"\n")
		plain = sc.s[at+1 : end]
		if end < len(sc.s) && sc.s[end] == quote {
			end = sc.until(end+1, ends) // as a shell reads "a"b
		}
	} else {
		end = sc.until(at, ends)
		plain = sc.s[at:end]
	}
	if plain == "" || plain == Masked {
		return end
	}
	return sc.mask(at, end, plain)
}
