package nawasync

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// sensitive are the parts of a key, in lower case and without separators, that
// make its value a secret.
var sensitive = []string{"password", "passwd", "secret", "token", "apikey", "privatekey", "sshkey", "authorization", "credential", "cookie"}

// Mask replaces every secret in a JSON document by "***", whatever its type and
// depth: the values of keys that contain password, passwd, secret, token,
// api_key, private_key, ssh_key, authorization, credential or cookie (case, "-",
// "_" and spaces do not matter) or one of the extra keys, and in the remaining
// strings the userinfo and the secret query values of URLs. Numbers keep their
// digits and objects their order. What is no JSON is a secret as a whole. It is
// safe for concurrent use.
func Mask(document []byte, extraKeys ...string) []byte {
	m := masker{keys: normalised(extraKeys)}
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + masked + `"`)
	}
	return out
}

func normalised(keys []string) []string {
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
}

func (m *masker) secretKey(key string) bool {
	key = normalise(key)
	contains := func(part string) bool { return strings.Contains(key, part) }
	return slices.ContainsFunc(sensitive, contains) || slices.ContainsFunc(m.keys, contains)
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
			writeString(&w.out, key)
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
		writeString(&w.out, masked)
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
	userinfo   = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/?#]+)@`)
	queryValue = regexp.MustCompile(`([?&;#])([^=&;#?\s"'<>]+)=([^&;#\s"'<>]+)`)
	authScheme = regexp.MustCompile(`(?i)\b(bearer|basic) +([A-Za-z0-9._~+/=-]{6,})`)
)

// text masks what a text shows of secrets by its form: URLs and HTTP
// credentials.
func (m *masker) text(s string) string {
	if strings.Contains(s, "://") {
		s = userinfo.ReplaceAllStringFunc(s, func(match string) string {
			part := userinfo.FindStringSubmatch(match)
			if _, password, ok := strings.Cut(part[2], ":"); ok {
				m.found = append(m.found, password)
			}
			return part[1] + masked + "@"
		})
	}
	if strings.Contains(s, "=") {
		s = queryValue.ReplaceAllStringFunc(s, func(match string) string {
			part := queryValue.FindStringSubmatch(match)
			key, err := url.QueryUnescape(part[2])
			if err == nil && !m.secretKey(key) || part[3] == masked {
				return match
			}
			if value, err := url.QueryUnescape(part[3]); err == nil {
				m.found = append(m.found, value)
			}
			return part[1] + part[2] + "=" + masked
		})
	}
	return authScheme.ReplaceAllString(s, "$1 "+masked)
}

// scrubber removes known secrets from texts that come from a job: errors,
// stacks, log lines, results.
type scrubber struct {
	masker   masker
	replacer *strings.Replacer // nil when there is nothing to replace
}

// minScrub is the shortest secret that is searched for: a shorter one would
// black out words that only look like it.
const minScrub = 6

// newScrubber knows what Mask hides in the arguments, and the values of Secrets.
func newScrubber(arguments []byte, secrets, extraKeys []string) *scrubber {
	m := masker{keys: normalised(extraKeys)}
	_, _ = m.document(arguments)
	s := &scrubber{masker: masker{keys: m.keys}}
	var forms []string
	for _, secret := range append(m.found, secrets...) {
		if len(secret) >= minScrub && secret != masked {
			forms = append(forms, encodings(secret)...)
		}
	}
	if len(forms) == 0 {
		return s
	}
	// Longest first: a form that contains another must go as a whole.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, masked)
	}
	s.replacer = strings.NewReplacer(pairs...)
	return s
}

// encodings are the forms in which a secret turns up in foreign texts.
func encodings(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	var quoted bytes.Buffer
	writeString(&quoted, secret)
	plain, _ := json.Marshal(secret)
	forms = append(forms, strings.Trim(quoted.String(), `"`), string(plain[1:len(plain)-1]))
	// In base64 a text has three faces, by where it begins in a group of three
	// bytes ("user:password"); its first and last characters mix with neighbours.
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)
			from, to := []int{0, 2, 3}[shift], len(text)
			if len(padded)%3 != 0 {
				to--
			}
			if to-from >= minScrub {
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
}

// text removes secrets from a text.
func (s *scrubber) text(text string) string {
	if s.replacer != nil {
		text = s.replacer.Replace(text)
	}
	m := masker{keys: s.masker.keys}
	return m.text(text)
}

// json masks a document and removes secrets from its strings; a text that the
// removal breaks (a number, say) is hidden whole.
func (s *scrubber) json(document []byte) []byte {
	m := masker{keys: s.masker.keys}
	out, err := m.document(document)
	if err != nil {
		return []byte(`"` + masked + `"`)
	}
	if s.replacer != nil {
		out = []byte(s.replacer.Replace(string(out)))
		if !json.Valid(out) {
			return []byte(`"` + masked + `"`)
		}
	}
	return out
}
