package secret

import (
	"slices"
	"strings"
)

// secretWords mark the value of a key as a secret if they are whole words of it. Within a word, they are
// parts of harmless ones.
var secretWords = []string{"pin", "pins", "otp", "otps", "psk", "jwt", "jwts", "pass", "pincode", "otpcode"}

// secretSuffixes mark a secret also at the end of a word, as in dbpass.
var secretSuffixes = []string{"pass", "otp", "psk", "jwt"}

// harmlessPasses are the words that end with pass and are no secrets.
var harmlessPasses = []string{"compass", "bypass", "trespass", "surpass", "overpass", "underpass", "highpass", "lowpass", "bandpass"}

// pinOwners are the words that a PIN is written together with, as in cardpin. Too many other words end with
// pin for a rule.
var pinOwners = []string{
	"account", "admin", "atm", "auth", "bank", "card", "customer", "device", "door", "login", "mobile", "my", "new", "old", "phone", "sim", "sms",
	"user", "voicemail",
}

// isSecretWord reports whether a word of a key, in lower case, is the name of a secret.
func isSecretWord(word string) bool {
	if strings.IndexByte("nspkte", word[len(word)-1]) < 0 {
		return false // all of them end with one of these
	}
	if slices.Contains(secretWords, word) {
		return true
	}
	if owner, ok := strings.CutSuffix(word, "pin"); ok {
		return slices.Contains(pinOwners, owner)
	}
	ends := func(suffix string) bool { return strings.HasSuffix(word, suffix) }
	return slices.ContainsFunc(secretSuffixes, ends) && !slices.ContainsFunc(harmlessPasses, ends)
}

// harmlessEndings are the last words of keys whose values say something about a secret, as in
// access_token_lifespan or password_policy.
var harmlessEndings = []string{
	"age", "at", "count", "enabled", "endpoint", "expiration", "expires", "expiry", "format", "in", "interval", "length", "lifespan", "lifetime", "policy",
	"rate", "ratio", "required", "strength", "through", "timeout", "ttl", "type", "uri", "url",
}
