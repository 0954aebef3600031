package secret

import (
	"slices"
	"strings"
	"unicode"
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

// sensitiveKey reports whether a key marks its value as a secret by itself.
func sensitiveKey(key string) bool {
	joined := normalise(key)
	in := func(part string) bool { return strings.Contains(joined, part) }
	found := slices.ContainsFunc(sensitiveParts, in)
	if !found && !slices.ContainsFunc(sensitiveWords, in) {
		return false
	}
	words := wordsOf(key)
	if !found && !slices.ContainsFunc(words, func(word string) bool { return slices.Contains(sensitiveWords, word) }) {
		return false
	}
	return len(words) == 1 || !slices.Contains(harmlessEndings, words[len(words)-1])
}

// wordsOf splits a key such as access_token, access.token or accessToken into its words, in lower case.
func wordsOf(key string) []string {
	var spaced strings.Builder
	lower := false // the previous rune is a lower-case letter or a digit
	for _, r := range key {
		if lower && unicode.IsUpper(r) {
			spaced.WriteByte(' ')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		if strings.ContainsRune("-_.", r) {
			r = ' '
		}
		spaced.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(spaced.String())
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
