package secret

import (
	"slices"
	"strings"
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

	pathEnd int // the end of the last path that was searched for a secret

	textPairs
}

// triggers are the characters at which scan looks around.
const triggers = ":=@-,/% "

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
		case '/':
			end := i
			if i > 0 && sc.s[i-1] == '\\' {
				end--
			}
			next = max(next, sc.path(end, i+1))
		case '%':
			if n := separatorAt(sc.s, i); n > 0 {
				next = max(next, sc.path(i, i+n))
			}
		case ',':
			next = max(next, sc.arrayPair(i))
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
	brackets := end > 0 && sc.s[end-1] == ']' // as in user[password]
	for start > 0 && (isWord(sc.s[start-1]) || sc.s[start-1] == '-' || sc.s[start-1] == '.' || brackets && strings.IndexByte("[]", sc.s[start-1]) >= 0) {
		if start--; end-start > maxKey {
			return 0, false
		}
	}
	if start > 0 && start < end && sc.s[start-1] == '\\' && strings.IndexByte("nrt", sc.s[start]) >= 0 {
		start++ // the letter of \n
	}
	return start, start < end
}

// sentence masks the value of a secret key after a colon: in a header, YAML or a sentence. Words of prose are
// left, as in "invalid token: unexpected end of file".
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
	if !sc.secretKey(sc.s[start:end]) {
		start = sc.twoWords(start, end)
	}
	if !sc.secretKey(sc.s[start:end]) || at == len(sc.s) || sc.isProse(start, i, at) || strings.HasPrefix(sc.s[at:], "//") {
		return 0
	}
	const ends = " \t\n\r\f\v,;\"'<>"
	if strings.ContainsAny(sc.s[i:at], "\r\n") && sc.until(at, ends) != sc.until(at, "\r\n") {
		return 0 // the next line is not a single value
	}
	return sc.value(at, ends)
}

// twoWords returns the start of a key of two words, such as API key or kata sandi, whose second word is
// s[start:end]. It returns start if the two together are no more than that word.
func (sc *scanner) twoWords(start, end int) int {
	if start == 0 || sc.s[start-1] != ' ' {
		return start
	}
	first, ok := sc.keyBefore(start - 1)
	last := strings.ToLower(sc.s[start:end])
	if !ok || !slices.Contains([]string{"key", "sandi", "code", "phrase", "word"}, last) || !sc.secretKey(sc.s[first:end]) {
		return start
	}
	return first
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
