package secret

import (
	"bytes"
	"strings"
)

// Mask replaces the secrets in a JSON document with "***", whatever their depth and type. A
// value is a secret if its key contains password, passwd, pwd, passphrase, passcode, kata_sandi, secret, token,
// api_key, private_key, ssh_key, auth_key, access_key, authorization, credential, cookie or one of the extra
// keys, or has one of the words pass, pin, otp, psk and jwt, as db_pass, dbpass, OTPCode, pin2 and user[pin]
// do. Case, "-", "_", ".", brackets and spaces in keys do not matter. A key that ends with a word such as
// lifespan, policy, type or url, as password_policy does, says something about a secret and has none, unless
// it contains an extra key.
//
// An extra key that begins with "=" is a whole key, and not a part. One with "!" is a whole key whose value is
// shown: in the document itself, but not in texts, in JSON within a string, within a value that is shown, and
// within the values of the extra keys with "/", which are documents of their own.
//
// In the remaining strings, Mask replaces the userinfo and secret query values of URLs, the secrets in
// well-known paths such as those of webhooks, the passwords of DSNs, HTTP credentials and headers, also as pairs
// of a name and a value, the values of secret keys in sentences (password=x, password: x) and
// in JSON within a text, the password of curl -u, and PEM private keys. Numbers
// keep their digits, and objects keep their order. A document that is not valid JSON, or
// that is nested more than 10,000 levels deep, is masked as a whole. Mask is safe for concurrent use.
func Mask(document []byte, extraKeys ...string) []byte {
	m := newMasker(extraKeys)
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	return out
}

type masker struct {
	keys  []string // extra keys to mask, normalised
	known *known   // secrets to remove from strings and numbers
	found []string // the secrets that were masked, if collect is set
	depth int      // number of JSON strings that the document is nested in

	collect bool

	// Keys to show in the document, and keys whose values are documents of their own, where the former do not
	// count. They concern no JSON within a string and no text.
	shown, documents []string
}

func newMasker(extraKeys []string) masker {
	var m masker
	m.keys, m.shown, m.documents = parseKeys(extraKeys)
	return m
}

func (m *masker) secretKey(key string) bool { return hides(m.keys, key) }

// remember adds secret to the found secrets, and also its unescaped form if the two differ.
func (m *masker) remember(secret string, unescape func(string) (string, error)) {
	if !m.collect {
		return
	}
	m.found = append(m.found, secret)
	if unescape != nil {
		if plain, err := unescape(secret); err == nil && plain != secret {
			m.found = append(m.found, plain)
		}
	}
}

// nested masks a text that is itself a JSON object or array. It returns false for any other
// text.
func (m *masker) nested(s string) (string, bool) {
	trimmed := strings.TrimSpace(s)
	if len(trimmed) < 2 || (trimmed[0] != '{' && trimmed[0] != '[') || m.depth >= maxNested {
		return "", false
	}
	inner := masker{keys: m.keys, known: m.known, depth: m.depth + 1, collect: m.collect}
	out, err := inner.document([]byte(s))
	if err != nil {
		return "", false
	}
	m.found = append(m.found, inner.found...)
	if !bytes.Contains(out, []byte(Masked)) {
		out = []byte(s) // keep the original spacing
	}
	// A secret can still be in a list of numbers.
	edits := m.known.longOnly().edits(string(out))
	return apply(string(out), edits, len(out)), true
}

// maxNested limits how deep JSON in strings of JSON is masked.
const maxNested = 4
