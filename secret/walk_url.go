package secret

import (
	"strings"
	"unicode"
)

// holdsURL reports whether the value of a key is a URL that may have a secret anywhere: of a webhook, or one
// that something is reset with.
func holdsURL(key string) bool {
	if !mayHoldURL(key) {
		return false
	}
	lower := strings.ToLower(key)
	for _, part := range []string{"webhook", "web_hook", "web-hook"} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	last := lower
	if n := strings.LastIndexFunc(key, isURLBreak); n >= 0 {
		last = strings.TrimLeft(lower[n:], "-_.[] ")
	}
	switch strings.TrimRight(last, "]") {
	case "hook", "hooks", "callback":
		return true
	case "url", "uri", "link", "href":
		sensitive, _ := classifyKey(key)
		return sensitive || strings.Contains(lower, "reset") || strings.Contains(lower, "hook") || strings.Contains(lower, "callback") ||
			strings.Contains(lower, "invite") || strings.Contains(lower, "magic")
	}
	return false
}

// urlMatcher finds the parts of keys that holdsURL looks for.
var urlMatcher = newMatcher([]string{"hook", "callback", "url", "uri", "link", "href"})

// mayHoldURL reports whether a key has one of the parts. Most keys have none.
func mayHoldURL(key string) bool {
	state := int32(0)
	for i := range len(key) {
		char := key[i]
		if char >= 'A' && char <= 'Z' {
			char |= 0x20
		}
		if state = urlMatcher.step(state, char); urlMatcher.nodes[state].longest > 0 {
			return true
		}
	}
	return false
}

func isURLBreak(r rune) bool { return isSeparator(r) && r != ']' || unicode.IsUpper(r) }

// url masks what looks random in the path and in the query of a URL.
func (m *masker) url(s string) string {
	n := strings.Index(s, "://")
	if n < 0 || strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	n += len("://")
	host := strings.IndexAny(s[n:], "/?#")
	if host < 0 {
		return s
	}
	var edits []edit
	hide := func(from, to int) {
		if from < to && s[from:to] != Masked {
			m.remember(s[from:to], nil)
			edits = append(edits, edit{span{from, to}, Masked})
		}
	}
	from := n + host
	query := len(s)
	if n := strings.IndexAny(s[from:], "?#"); n >= 0 {
		query = from + n
	}
	hide(from+randomPart(s[from:query]), query)
	for query < len(s) {
		next := len(s)
		if n := strings.IndexAny(s[query+1:], "?#&;"); n >= 0 {
			next = query + 1 + n
		}
		value := query + 1
		if n := strings.IndexByte(s[value:next], '='); n >= 0 {
			value += n + 1
		}
		if isRandom(s[value:next]) {
			hide(value, next)
		}
		query = next
	}
	return apply(s, edits, len(s))
}
