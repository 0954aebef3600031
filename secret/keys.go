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
	"password", "passwd", "passphrase", "katasandi", "secret", "token", "apikey", "privatekey", "sshkey", "authkey", "accesskey", "authorization",
	"credential", "cookie",
}

// sensitiveWords mark the value of a key as a secret if they are whole words of it. Within a word, they are
// parts of harmless ones.
var sensitiveWords = []string{"pwd", "pin", "otp", "psk", "jwt"}

// harmlessEndings are the last words of keys whose values say something about a secret, as in
// access_token_lifespan or password_policy.
var harmlessEndings = []string{
	"age", "at", "count", "enabled", "endpoint", "expiration", "expires", "expiry", "format", "in", "interval", "length", "lifespan", "lifetime", "policy",
	"required", "strength", "timeout", "ttl", "type", "uri", "url",
}

// keyMatcher finds the parts of a key that mark its value as a secret.
var keyMatcher = newMatcher(sensitiveParts)

// sensitiveKey reports whether a key marks its value as a secret by itself.
func sensitiveKey(key string) bool {
	var buffer [64]byte
	word, words := buffer[:0], 0 // the last word of the key, in lower case, and how many words there are
	state, found, ended, lower := int32(0), false, true, false
	for _, r := range key {
		if isSeparator(r) {
			ended, lower = true, false
			continue
		}
		if ended || lower && unicode.IsUpper(r) {
			found = found || slices.Contains(sensitiveWords, string(word))
			word, ended = word[:0], false
			words++
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		from := len(word)
		word = utf8.AppendRune(word, unicode.ToLower(r))
		for _, char := range word[from:] {
			state = keyMatcher.step(state, char)
			found = found || keyMatcher.nodes[state].longest > 0
		}
	}
	found = found || slices.Contains(sensitiveWords, string(word))
	return found && (words == 1 || !slices.Contains(harmlessEndings, string(word)))
}

func isSeparator(r rune) bool { return r == '-' || r == '_' || r == '.' || r == ' ' }

// hides reports whether a key marks its value as a secret, by itself or by an extra key.
func hides(extra []string, key string) bool {
	if len(extra) == 0 {
		return sensitiveKey(key)
	}
	joined := normalise(key)
	if slices.Contains(extra, "!"+joined) {
		return false
	}
	return sensitiveKey(key) || slices.ContainsFunc(extra, func(part string) bool {
		if whole, ok := strings.CutPrefix(part, "="); ok {
			return joined == whole
		}
		return strings.Contains(joined, part)
	})
}

func normalisedKeys(keys []string) []string {
	list := make([]string, 0, len(keys))
	for _, key := range keys {
		if key = normalise(key); key != "" {
			list = append(list, key)
		}
	}
	return list
}

var separators = strings.NewReplacer("-", "", "_", "", " ", "", ".", "")

func normalise(key string) string { return separators.Replace(strings.ToLower(key)) }
