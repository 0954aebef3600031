package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// sensitiveKeys are the parts of a key, in lower case and without separators, that
// make its value a secret.
var sensitiveKeys = []string{"password", "passwd", "secret", "token", "apikey", "privatekey", "sshkey", "authorization", "credential", "cookie"}

// Mask replaces every secret in a JSON document by "***", whatever its type and
// depth: the values of keys that contain password, passwd, secret, token,
// api_key, private_key, ssh_key, authorization, credential or cookie (case, "-",
// "_" and spaces do not matter) or one of the extra keys, and in the remaining
// strings the userinfo and the secret query values of URLs. Numbers keep their
// digits and objects their order. What is no JSON is a secret as a whole. It is
// safe for concurrent use.
func Mask(document []byte, extraKeys ...string) []byte {
	m := masker{keys: normalisedKeys(extraKeys)}
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + Masked + `"`)
	}
	return out
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

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

func normalise(key string) string { return separators.Replace(strings.ToLower(key)) }

type masker struct {
	keys  []string
	found []string // the texts that were masked
	depth int      // of JSON in texts of JSON
}

func (m *masker) secretKey(key string) bool {
	key = normalise(key)
	contains := func(part string) bool { return strings.Contains(key, part) }
	return slices.ContainsFunc(sensitiveKeys, contains) || slices.ContainsFunc(m.keys, contains)
}

// level is one open object or array of the walk.
type level struct {
	object bool
	key    bool // the next string is a key
	hidden bool // below a secret key: nothing is written
	n      int
}

// walk goes through a document token by token, so that depth costs no stack and
// the order of keys, doubled ones too, stays.
type walk struct {
	*masker
	out   bytes.Buffer
	stack []level
	hide  bool // the next value belongs to a secret key
}

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
			w.hide = w.secretKey(key)
		}
		return
	}
	if top != nil && !top.object && !hidden {
		top.comma(&w.out)
	}
	if top != nil && top.object {
		top.key = true
	}
	w.value(token, hidden)
}

func (w *walk) value(token json.Token, hidden bool) {
	if w.hide {
		writeString(&w.out, Masked)
		hidden, w.hide = true, false
	}
	begin, ok := token.(json.Delim)
	if !ok {
		w.scalar(&w.out, token, hidden)
		return
	}
	if !hidden {
		w.out.WriteRune(rune(begin))
	}
	w.stack = append(w.stack, level{object: begin == '{', key: begin == '{', hidden: hidden})
}

func (l *level) comma(out *bytes.Buffer) {
	if l.n > 0 {
		out.WriteByte(',')
	}
	l.n++
}

func (m *masker) scalar(out *bytes.Buffer, token json.Token, hide bool) {
	switch value := token.(type) {
	case string:
		if hide {
			m.found = append(m.found, value)
			return
		}
		writeString(out, m.text(value))
	case json.Number:
		if hide {
			m.found = append(m.found, value.String())
			return
		}
		out.WriteString(value.String())
	default:
		if hide {
			return
		}
		text, _ := json.Marshal(value) // true, false or null
		out.Write(text)
	}
}

func writeString(out *bytes.Buffer, s string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)       // a string always encodes
	out.Truncate(out.Len() - 1) // Encode's newline
}

var (
	// A password may hold a slash that nobody escaped: then what follows "user:" is
	// no port.
	userinfoPattern = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)(?:([^\s/?#@:"'<>]*):([^\s@"'<>]+)|([^\s/?#@:"'<>]+))@`)
	portPattern     = regexp.MustCompile(`^[0-9]{1,5}(?:[/?#]|$)`)
	queryPattern    = regexp.MustCompile(`(^|[?&;#])([^=&;#?\s"'<>]+)=([^&;#\s"'<>]+)`)
	authPattern     = regexp.MustCompile(`(?i)\b(bearer|basic) +([A-Za-z0-9._~+/=-]{6,})`)
)

// text masks what a text shows of secrets by its form: URLs, forms, HTTP
// credentials, and JSON.
func (m *masker) text(s string) string {
	if inner, ok := m.nested(s); ok {
		return inner
	}
	if strings.Contains(s, "://") {
		s = replaceAll(userinfoPattern, s, func(part []string) string {
			password := part[3]
			if portPattern.MatchString(password) && part[4] == "" {
				return part[0] // host:2087/path?to=ann@example.org
			}
			if part[4] != "" {
				password = part[4] // a token by itself
			}
			m.remember(password, url.PathUnescape)
			return part[1] + Masked + "@"
		})
	}
	if strings.Contains(s, "=") {
		s = replaceAll(queryPattern, s, func(part []string) string {
			key, err := url.QueryUnescape(part[2])
			if err == nil && !m.secretKey(key) || part[3] == Masked {
				return part[0]
			}
			m.remember(part[3], url.QueryUnescape)
			return part[1] + part[2] + "=" + Masked
		})
	}
	return replaceAll(authPattern, s, func(part []string) string {
		m.remember(part[2], nil)
		return part[1] + " " + Masked
	})
}

func replaceAll(pattern *regexp.Regexp, s string, replace func(part []string) string) string {
	return pattern.ReplaceAllStringFunc(s, func(match string) string { return replace(pattern.FindStringSubmatch(match)) })
}

// remember notes a secret as it stands, and unescaped.
func (m *masker) remember(secret string, unescape func(string) (string, error)) {
	m.found = append(m.found, secret)
	if unescape != nil {
		if plain, err := unescape(secret); err == nil && plain != secret {
			m.found = append(m.found, plain)
		}
	}
}

// nested masks a text that is a JSON object or array itself.
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
		return s, true // as it was written
	}
	return string(out), true
}

// maxNested is how many texts deep JSON is looked for in JSON.
const maxNested = 4
