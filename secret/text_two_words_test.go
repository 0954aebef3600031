package secret_test

import (
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestKeysOfTwoWordsInSentences(t *testing.T) {
	t.Parallel()
	r := secret.NewRedactor(nil, nil, nil, nil)
	for text, want := range map[string]string{
		"API key: abcdef123456 is not valid":          "API key: *** is not valid",
		"access key: AKIAIOSFODNN7EXAMPLE":            "access key: ***",
		"the secret key: wJalrXUtnFEMI/K7MDENG":       "the secret key: ***",
		"kata sandi: rahasia123":                      "kata sandi: ***",
		"Private key: abcdef123456":                   "Private key: ***",
		"primary key: 42, sort key: b, error code: 7": "primary key: 42, sort key: b, error code: 7",
		"Basic authentication is required":            "Basic authentication is required",
		"token: expired":                              "token: expired",
		"oauth2: refresh token: EOF":                  "oauth2: refresh token: EOF",
		"Password: Required.":                         "Password: Required.",
		"password: expired1":                          "password: ***",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
