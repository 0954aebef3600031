package secret

import (
	"slices"
	"strings"
	"unicode"
)

// secretPath is a path whose rest is a secret, in a URL or without its beginning.
type secretPath struct {
	name   string // the last segment before the secret
	before string // what the segment before it ends with; "" is anything
	whole  bool   // all that follows is a secret; otherwise, what begins with the first part that looks random
}

// secretPaths are well-known paths with secrets.
var secretPaths = []secretPath{
	{name: "hook"},
	{name: "hooks"},
	{name: "webhook"},
	{name: "webhooks"},
	{name: "webhookb2"},
	{name: "webhook-test"},
	{name: "incomingwebhook"},
	{name: "incomingwebhooks"},
	{name: "build_hooks"},
	{name: "deploy_hooks"},
	{name: "reset"},
	{name: "reset-password"},
	{name: "reset_password"},
	{name: "password-reset"},
	{name: "magic"},
	{name: "token"},
	{name: "services", before: "slack.com", whole: true},
	{name: "workflows", before: "slack.com", whole: true},
	{name: "triggers", before: "slack.com", whole: true},
	{name: "services", before: "slack-gov.com", whole: true},
	{name: "catch", before: "hooks", whole: true},
	{name: "key", before: "with", whole: true},
	{name: "integration", before: "pagerduty.com", whole: true},
	{name: "deploy", before: "integrations", whole: true},
	{name: "hc-ping.com", whole: true},
	{name: "webhook.site", whole: true},
	{name: ".make.com", whole: true},
}

// path masks the secret in a path, of which a segment begins behind the separator s[i:j].
func (sc *scanner) path(i, j int) int {
	if end := sc.segmentToken(j); end > 0 {
		return end
	}
	name, start := sc.segmentBefore(i)
	if len(name) < len("key") {
		return 0
	}
	n := slices.IndexFunc(secretPaths, func(p secretPath) bool {
		if p.name[0] == '.' {
			return len(name) > len(p.name)+len("hook.") && strings.EqualFold(name[:5], "hook.") && strings.EqualFold(name[len(name)-len(p.name):], p.name)
		}
		return len(p.name) == len(name) && strings.EqualFold(p.name, name) && sc.isBehind(start, p.before)
	})
	if n < 0 {
		return 0
	}
	whole := secretPaths[n].whole
	if j < sc.pathEnd && !whole {
		return 0 // was read already
	}
	end := sc.endOfPath(j)
	sc.pathEnd = max(sc.pathEnd, end)
	if !whole {
		j += randomPart(sc.s[j:end])
	}
	if j >= end {
		return 0
	}
	return sc.mask(j, end, sc.s[j:end])
}

// segmentToken masks the number or token that follows the name of a segment at s[i:]: bot123456:token of
// Telegram and cpsess1234567890 of cPanel.
func (sc *scanner) segmentToken(i int) int {
	at := i
	for _, name := range []string{"bot", "cpsess"} {
		if strings.HasPrefix(sc.s[i:], name) {
			at += len(name)
		}
	}
	digits := at
	for digits < len(sc.s) && digits-at < maxKey && sc.s[digits] >= '0' && sc.s[digits] <= '9' {
		digits++
	}
	if at == i || digits-at < minRedacted {
		return 0
	}
	end := digits
	if sc.s[i] == 'b' {
		if !strings.HasPrefix(sc.s[digits:], ":") && !strings.HasPrefix(sc.s[digits:], "%3A") {
			return 0
		}
		for end < len(sc.s) && (isWord(sc.s[end]) || strings.IndexByte(":-%", sc.s[end]) >= 0) && separatorAt(sc.s, end) == 0 {
			end++
		}
	}
	return sc.mask(at, end, sc.s[at:end])
}

// segmentBefore returns the segment of a path that ends at end, and its start. A long one has no name.
func (sc *scanner) segmentBefore(end int) (name string, start int) {
	start = end
	for start > 0 && (isWord(sc.s[start-1]) || sc.s[start-1] == '-' || sc.s[start-1] == '.') {
		if start--; end-start > maxKey {
			return "", start
		}
	}
	if start > 0 && end-start > 2 && sc.s[start-1] == '%' && strings.EqualFold(sc.s[start:start+2], "2F") {
		start += 2
	}
	return sc.s[start:end], start
}

// isBehind reports whether a segment at start follows one that ends with a text.
func (sc *scanner) isBehind(start int, text string) bool {
	if text == "" {
		return true
	}
	before := sc.s[:start]
	for _, separator := range []string{`\/`, "/", "%2F", "%2f"} {
		if rest, ok := strings.CutSuffix(before, separator); ok {
			return len(rest) >= len(text) && strings.EqualFold(rest[len(rest)-len(text):], text)
		}
	}
	return false
}

// separatorAt returns the length of the separator of a path at s[i:], or 0.
func separatorAt(s string, i int) int {
	switch s[i] {
	case '/':
		return 1
	case '\\':
		if strings.HasPrefix(s[i:], `\/`) {
			return 2
		}
	case '%':
		if len(s) > i+2 && s[i+1] == '2' && s[i+2]|0x20 == 'f' {
			return 3
		}
	}
	return 0
}

// endOfPath returns the end of the path that goes on at i. Punctuation at the end is of the text around it.
func (sc *scanner) endOfPath(i int) int {
	from := i
	for i < len(sc.s) && (isWord(sc.s[i]) || strings.IndexByte("-.~+=@:/%$!", sc.s[i]) >= 0 || separatorAt(sc.s, i) > 0) {
		if strings.HasPrefix(sc.s[i:], "://") || sc.s[i] == '%' && hasPrefixFold(sc.s[i:], "%3F") {
			break // another URL, or the query
		}
		i++
	}
	return from + len(strings.TrimRight(sc.s[from:i], ".:!"))
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// randomPart returns the position of the first segment of a path that looks random, or its length.
func randomPart(path string) int {
	start := 0
	for i := 0; i < len(path); {
		n := separatorAt(path, i)
		if n > 0 {
			if isRandom(path[start:i]) {
				return start
			}
			start = i + n
		}
		i += max(1, n)
	}
	if isRandom(path[start:]) {
		return start
	}
	return len(path)
}

// minRandom is the least length of what looks random.
const minRandom = 16

// isRandom reports whether a text may be a token or a UUID, and not words or a number.
func isRandom(text string) bool {
	if len(text) < minRandom {
		return false
	}
	var lower, upper, digit bool
	for _, r := range text {
		lower, upper, digit = lower || unicode.IsLower(r), upper || unicode.IsUpper(r), digit || unicode.IsDigit(r)
	}
	return digit && (lower || upper) || lower && upper
}

// signatures are the keys of queries whose values are secrets, and codes those whose values are if they look
// random.
var (
	signatures = []string{"sig", "sign", "signature", "hmac", "x-amz-signature", "x-goog-signature"}
	codes      = []string{"key", "code", "auth", "hash", "access"}
)
