package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Mask replaces the secrets in a JSON document with "***", whatever their depth and type. A
// value is a secret if its key contains password, passwd, passphrase, kata_sandi, secret, token, api_key,
// private_key, ssh_key, auth_key, access_key, authorization, credential, cookie or one of the extra keys, or
// has one of the words pwd, pin, otp, psk and jwt. Case, "-", "_", "." and spaces in keys do not matter. A
// key that ends with a word such as lifespan, policy, type or url, as password_policy does, says something
// about a secret and has none, unless it contains an extra key.
//
// In the remaining strings, Mask replaces the userinfo and secret query values of URLs, the passwords of
// DSNs, HTTP credentials and headers, the values of secret keys in sentences (password=x, password: x) and
// in JSON within a text, the password of curl -u, and PEM private keys. Numbers
// keep their digits, and objects keep their order. A document that is not valid JSON is masked
// as a whole. Mask is safe for concurrent use.
func Mask(document []byte, extraKeys ...string) []byte {
	m := masker{keys: normalisedKeys(extraKeys)}
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	return out
}

type masker struct {
	keys  []string // extra keys, normalised
	found []string // the secrets that were masked
	depth int      // number of JSON strings that the document is nested in
}

func (m *masker) secretKey(key string) bool {
	if sensitiveKey(key) {
		return true
	}
	key = normalise(key)
	return slices.ContainsFunc(m.keys, func(part string) bool { return strings.Contains(key, part) })
}

// level is one object or array that the walk is inside of.
type level struct {
	object bool
	key    bool // the next token is a key of the object
	hidden bool // the level belongs to a secret key, so its content is not written
	name   bool // the next value is a name, as of a header
	named  bool // the object has a member name whose value is a secret key
	n      int  // members or elements written
}

// walk copies a document token by token. Unlike decoding, it keeps the order of keys and
// repeated keys, and deep nesting cannot overflow the call stack.
type walk struct {
	*masker
	out      bytes.Buffer
	stack    []level
	maskNext bool // the next value belongs to a secret key
}

// document masks one JSON document. It returns an error if data is anything else.
func (m *masker) document(data []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	w := walk{masker: m}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if len(w.stack) > 0 || w.out.Len() == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return w.out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if len(w.stack) == 0 && w.out.Len() > 0 {
			return nil, errors.New("more than one document")
		}
		w.token(token)
	}
}

func (w *walk) token(token json.Token) {
	var top *level
	if len(w.stack) > 0 {
		top = &w.stack[len(w.stack)-1]
	}
	if end, ok := token.(json.Delim); ok && (end == '}' || end == ']') {
		if !top.hidden {
			w.out.WriteRune(rune(end))
		}
		w.stack = w.stack[:len(w.stack)-1]
		return
	}
	hidden := top != nil && top.hidden
	if top != nil && top.key {
		top.key = false
		if key, _ := token.(string); !hidden {
			top.comma(&w.out)
			writeString(&w.out, w.text(key))
			w.out.WriteByte(':')
			w.maskNext = w.secretKey(key) || top.named && key == "value"
			top.name = key == "name" || key == "key" || key == "header"
		}
		return
	}
	if top != nil && !top.object && !hidden {
		top.comma(&w.out)
	}
	if top != nil && top.object {
		top.key = true
		if name, ok := token.(string); ok && top.name {
			top.named = w.secretKey(name)
		}
	}
	w.value(token, hidden)
}

func (w *walk) value(token json.Token, hidden bool) {
	if w.maskNext {
		writeString(&w.out, Masked)
		hidden, w.maskNext = true, false
	}
	open, ok := token.(json.Delim)
	if !ok {
		w.scalar(&w.out, token, hidden)
		return
	}
	if !hidden {
		w.out.WriteRune(rune(open))
	}
	w.stack = append(w.stack, level{object: open == '{', key: open == '{', hidden: hidden})
}

func (l *level) comma(out *bytes.Buffer) {
	if l.n > 0 {
		out.WriteByte(',')
	}
	l.n++
}

// scalar writes a string, number, boolean or null. If hidden is set, it notes the value as a
// secret instead.
func (m *masker) scalar(out *bytes.Buffer, token json.Token, hidden bool) {
	switch value := token.(type) {
	case string:
		if hidden {
			m.found = append(m.found, value)
			return
		}
		writeString(out, m.text(value))
	case json.Number:
		if hidden {
			m.found = append(m.found, value.String())
			return
		}
		out.WriteString(value.String())
	default:
		if hidden {
			return
		}
		text, _ := json.Marshal(value) // true, false or null
		out.Write(text)
	}
}

func writeString(out *bytes.Buffer, s string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)       // never fails for a string
	out.Truncate(out.Len() - 1) // remove the newline that Encode adds
}

func replaceAll(pattern *regexp.Regexp, s string, replace func(part []string) string) string {
	return pattern.ReplaceAllStringFunc(s, func(match string) string { return replace(pattern.FindStringSubmatch(match)) })
}

// remember adds secret to the found secrets, and also its unescaped form if the two differ.
func (m *masker) remember(secret string, unescape func(string) (string, error)) {
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
	if trimmed := strings.TrimSpace(s); len(trimmed) < 2 || (trimmed[0] != '{' && trimmed[0] != '[') || m.depth >= maxNested || !json.Valid([]byte(trimmed)) {
		return "", false
	}
	inner := masker{keys: m.keys, depth: m.depth + 1}
	out, err := inner.document([]byte(s))
	if err != nil {
		return "", false
	}
	m.found = append(m.found, inner.found...)
	if len(inner.found) == 0 && !bytes.Contains(out, []byte(Masked)) {
		return s, true // keep the original spacing
	}
	return string(out), true
}

// maxNested limits how deep JSON in strings of JSON is masked.
const maxNested = 4
