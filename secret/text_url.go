package secret

import (
	"net/url"
	"slices"
	"strings"
)

// userinfo masks the credentials of a URL whose scheme ends at i.
func (sc *scanner) userinfo(i int) int {
	at := i + 1
	for _, slashes := range []string{"//", `\/\/`} {
		if strings.HasPrefix(sc.s[at:], slashes) {
			at += len(slashes)
			break
		}
	}
	if at == i+1 || i == 0 || !isWord(sc.s[i-1]) && strings.IndexByte("+.-", sc.s[i-1]) < 0 {
		return 0
	}
	end := sc.endOfWord(at)
	if end == len(sc.s) || sc.s[end] != '@' || end == at {
		return 0
	}
	password := sc.s[at:end] // userinfo without a colon may be a token
	if n := strings.IndexAny(password, `/?#:`); n >= 0 {
		if password[n] != ':' || n+1 == len(password) || isPort(password[n+1:]) {
			return 0 // as in https://host:2087/path?to=ann@example.org
		}
		password = password[n+1:]
	}
	// A password may have an @ itself. The path of a URL may have one too.
	for {
		next := end + 1
		for next < len(sc.s) && !isSpace(sc.s[next]) && strings.IndexByte(`/?#@"'<>\`, sc.s[next]) < 0 {
			next++
		}
		if next == len(sc.s) || sc.s[next] != '@' {
			break
		}
		end = next
	}
	if password == Masked {
		return end
	}
	sc.remember(password, url.PathUnescape)
	sc.edits = append(sc.edits, edit{span{at, end}, Masked})
	return end + 1
}

// isPort reports whether text begins with a port and a path.
func isPort(text string) bool {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n > 0 && n <= 5 && n < len(text) && strings.IndexByte("/?#", text[n]) >= 0
}

// endOfWord returns the first position from i on that ends the userinfo of a URL.
func (sc *scanner) endOfWord(i int) int {
	if i <= sc.wordEnd {
		return sc.wordEnd
	}
	for i < len(sc.s) && !isSpace(sc.s[i]) && strings.IndexByte("@\"'<>", sc.s[i]) < 0 {
		i++
	}
	sc.wordEnd = i
	return i
}

// dsn masks the password of a DSN such as user:password@tcp(host)/name, whose @ is at i.
func (sc *scanner) dsn(i int) {
	if sc.colon < 0 || sc.colon+1 >= i {
		return
	}
	end := i + 1
	for end < len(sc.s) && end-i < maxKey && (sc.s[end] >= 'a' && sc.s[end] <= 'z' || sc.s[end] >= '0' && sc.s[end] <= '9') {
		end++
	}
	if password := sc.s[sc.colon+1 : i]; end > i+1 && end < len(sc.s) && sc.s[end] == '(' && password != Masked {
		if n := len(sc.edits); n > 0 && sc.edits[n-1].from == sc.colon+1 {
			sc.edits[n-1].to = i // the password has an @ itself
			return
		}
		sc.mask(sc.colon+1, i, password)
	}
}

// pair masks the value of a secret key before the equals sign at i.
func (sc *scanner) pair(i int) int {
	start := i
	for start > 0 && i-start <= 2*maxKey && !isSpace(sc.s[start-1]) && strings.IndexByte(`=&;#?"'<>,({|`, sc.s[start-1]) < 0 {
		start--
	}
	if start == i {
		return 0
	}
	key := sc.s[start:i]
	if plain, err := url.QueryUnescape(key); err == nil {
		key = plain
	}
	const ends = "&;#\" \t\n\r\f\v'<>"
	if !sc.secretKey(key) && !sc.isSignature(start, i, ends) {
		return 0
	}
	end := sc.value(i+1, ends)
	if end > i+1 {
		sc.remember(strings.Trim(sc.s[i+1:end], `"'`), url.QueryUnescape)
	}
	return end
}

// isSignature reports whether a key at start belongs to a query, and whether its value, behind the equals sign at
// i, is a signature or another secret of queries.
func (sc *scanner) isSignature(start, i int, ends string) bool {
	if n := strings.LastIndex(sc.s[start:i], `\u0026`); n >= 0 {
		start += n + len(`\u0026`)
	} else if start == 0 || strings.IndexByte("?&;", sc.s[start-1]) < 0 {
		return false
	}
	key := sc.s[start:i]
	return isOneOf(signatures, key) || isOneOf(codes, key) && isRandom(sc.s[i+1:sc.until(i+1, ends)])
}

// curl masks the password of curl -u, whose first minus sign is at i.
func (sc *scanner) curl(i int) int {
	if i > 0 && !isSpace(sc.s[i-1]) {
		return 0
	}
	at := i
	for _, option := range []string{"--user", "-u"} {
		if strings.HasPrefix(sc.s[i:], option) {
			at += len(option)
			break
		}
	}
	if at == i {
		return 0
	}
	for at < len(sc.s) && (sc.s[at] == ' ' || sc.s[at] == '=') {
		at++
	}
	if at < len(sc.s) && (sc.s[at] == '"' || sc.s[at] == '\'') {
		at++
	}
	colon := sc.until(at, " \t\n\r\f\v:\"'")
	if colon == at || colon == len(sc.s) || sc.s[colon] != ':' {
		return 0
	}
	end := sc.until(colon+1, " \t\n\r\f\v\"'")
	if password := sc.s[colon+1 : end]; password != "" && password != Masked {
		return sc.mask(colon+1, end, password)
	}
	return 0
}

// credentials masks what follows the word bearer or basic, which ends at i.
func (sc *scanner) credentials(i int) int {
	if i < 5 || !strings.EqualFold(sc.s[i-5:i], "basic") && (i < 6 || !strings.EqualFold(sc.s[i-6:i], "bearer")) {
		return 0
	}
	at := i
	for at < len(sc.s) && sc.s[at] == ' ' {
		at++
	}
	end := at
	for end < len(sc.s) && (isWord(sc.s[end]) || strings.IndexByte(".~+/=-", sc.s[end]) >= 0) {
		end++
	}
	if end-at < minRedacted || slices.Contains(schemeWords, strings.ToLower(sc.s[at:end])) {
		return 0
	}
	return sc.mask(at, end, sc.s[at:end])
}

// schemeWords follow the name of a scheme in a sentence, as in "Basic authentication is required".
var schemeWords = []string{"access", "auth", "authentication", "authorization", "credential", "credentials", "login", "realm", "scheme", "token", "tokens"}

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemLabel = "PRIVATE KEY-----"
	maxLabel = 80
)

// pem masks the PEM private key at i. A key without an end is the rest of the text.
func (sc *scanner) pem(i int) int {
	if !strings.HasPrefix(sc.s[i:], pemBegin) {
		return 0
	}
	from := endOfLabel(sc.s, i+len(pemBegin))
	if from == 0 {
		return 0
	}
	to, end := from, len(sc.s)
	for {
		n := strings.Index(sc.s[to:], pemEnd)
		if n < 0 {
			to = len(sc.s)
			break
		}
		to += n
		if end = endOfLabel(sc.s, to+len(pemEnd)); end > 0 {
			break
		}
		to += len(pemEnd)
	}
	if value := sc.s[from:to]; value != "" && value != Masked {
		sc.replace(from, to, Masked, value)
	}
	return max(end, to)
}

// endOfLabel returns the end of the label of a private key at s[i:], or 0.
func endOfLabel(s string, i int) int {
	line := s[i:min(len(s), i+maxLabel)]
	n := strings.Index(line, "-----")
	if n < 0 || !strings.HasSuffix(line[:n+5], pemLabel) {
		return 0
	}
	return i + n + 5
}
