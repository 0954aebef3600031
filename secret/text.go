package secret

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// The patterns of secrets that can be recognised by their syntax. They are linear in the text.
var (
	// The pattern allows an unescaped slash in the password. It therefore also matches a host
	// and port before a later "@", which portPattern excludes.
	userinfoPattern = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)(?:([^\s/?#@:"'<>]*):([^\s@"'<>]+)|([^\s/?#@:"'<>]+))@`)
	portPattern     = regexp.MustCompile(`^[0-9]{1,5}[/?#]`)
	// A DSN as user:password@tcp(host)/name.
	dsnPattern   = regexp.MustCompile(`([^\s:/@"']+):([^\s"']+)@([a-z0-9]+\()`)
	pairPattern  = regexp.MustCompile(`(^|[?&;#\s,({|])([^=&;#?\s"'<>,({|]+)=`)
	valuePattern = regexp.MustCompile(`^(?:"[^"]*"|'[^']*'|[^&;#\s"'<>]+)`)
	// A line of a header, an entry of YAML, or a part of a sentence.
	colonPattern = regexp.MustCompile(`(^|[\s,;({\[|'"])([A-Za-z][A-Za-z0-9_.-]{0,63})(\s*:\s*)("[^"]*"|'[^']*'|[^\s,;"'<>]+)`)
	authPattern  = regexp.MustCompile(`(?i)\b(bearer|basic) +([A-Za-z0-9._~+/=-]{6,})`)
	// The headers whose value is the rest of the line.
	headerPattern = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s*:\s*["'\[]?)((?:(?:basic|bearer|digest|negotiate|whm|cpanel|token|apikey) +)?)([^\r\n]+)`)
	headerKey     = regexp.MustCompile(`(?i)(authorization|cookie)$`) // masked with headerPattern
	curlPattern   = regexp.MustCompile(`((?:^|\s)(?:-u|--user)[ =]*["']?[^\s:"']+:)([^\s"']+)`)
	pemPattern    = regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`)
	memberPattern = regexp.MustCompile(`"([^"\\]{1,64})"(\s*:\s*)("(?:[^"\\]|\\.)*(?:"|$)|[^\s,}\]"{\[]+)`)
	quotedPattern = regexp.MustCompile(`(\\+)"([^"\\]{1,64})\\+"(\s*:\s*)\\+"((?:[^"\\]|\\\\.)*)\\+"`)
	namedPattern  = regexp.MustCompile(`("(?:name|key|header)"\s*:\s*"([^"\\]*)"\s*,\s*"value"\s*:\s*)"((?:[^"\\]|\\.)*)(?:"|$)`)
)

// text masks secrets that can be recognised by their syntax: in URLs, form values, HTTP
// credentials and headers, sentences, and JSON.
func (m *masker) text(s string) string {
	if inner, ok := m.nested(s); ok {
		return inner
	}
	if strings.Contains(s, "PRIVATE KEY-----") {
		s = replaceAll(pemPattern, s, func(part []string) string { return part[1] + Masked + part[2] })
	}
	if strings.Contains(s, `"`) {
		s = m.members(m.embedded(s))
	}
	if strings.Contains(s, "@") {
		s = m.userinfo(s)
	}
	if strings.Contains(s, "=") {
		s = m.pairs(s)
	}
	if strings.Contains(s, ":") {
		s = replaceAll(headerPattern, s, func(part []string) string {
			word, rest, _ := strings.Cut(part[4], " ")
			if part[4] == Masked || part[3] == "" && isProse(word, " "+rest) {
				return part[0]
			}
			m.remember(strings.Trim(part[4], `"']`), nil)
			return part[1] + part[2] + part[3] + Masked
		})
		s = m.colons(s)
	}
	if strings.Contains(s, "-u") {
		s = replaceAll(curlPattern, s, func(part []string) string {
			m.remember(part[2], nil)
			return part[1] + Masked
		})
	}
	return replaceAll(authPattern, s, func(part []string) string {
		m.remember(part[2], nil)
		return part[1] + " " + Masked
	})
}

// userinfo masks the passwords of URLs and DSNs.
func (m *masker) userinfo(s string) string {
	if strings.Contains(s, "://") {
		s = replaceAll(userinfoPattern, s, func(part []string) string {
			password := part[3]
			if portPattern.MatchString(password) && part[4] == "" {
				return part[0] // as in https://host:2087/path?to=ann@example.org
			}
			if part[4] != "" {
				password = part[4] // userinfo without a colon may be a token
			}
			m.remember(password, url.PathUnescape)
			return part[1] + Masked + "@"
		})
	}
	return replaceAll(dsnPattern, s, func(part []string) string {
		m.remember(part[2], nil)
		return part[1] + ":" + Masked + "@" + part[3]
	})
}

// pairs masks the values of secret keys before an equals sign.
func (m *masker) pairs(s string) string {
	var out strings.Builder
	from := 0
	for _, at := range pairPattern.FindAllStringSubmatchIndex(s, -1) {
		key, err := url.QueryUnescape(s[at[4]:at[5]])
		if at[0] < from || err == nil && !m.secretKey(key) {
			continue
		}
		quoted := valuePattern.FindString(s[at[1]:])
		value := strings.Trim(quoted, `"'`)
		if value == Masked || value == "" {
			continue
		}
		m.remember(value, url.QueryUnescape)
		out.WriteString(s[from:at[1]])
		out.WriteString(Masked)
		from = at[1] + len(quoted)
	}
	out.WriteString(s[from:])
	return out.String()
}

// colons masks the values of secret keys before a colon. A single word between others is left, as in
// "invalid token: unexpected end of file".
func (m *masker) colons(s string) string {
	var out strings.Builder
	from := 0
	for _, at := range colonPattern.FindAllStringSubmatchIndex(s, -1) {
		key, quoted := s[at[4]:at[5]], s[at[8]:at[9]]
		value := strings.Trim(quoted, `"'`)
		if headerKey.MatchString(key) || !m.secretKey(key) || value == quoted && isProse(value, s[at[9]:]) {
			continue
		}
		if value == "" || strings.HasPrefix(value, Masked) || strings.HasPrefix(value, "//") {
			continue // masked already, or the rest of a URL
		}
		m.remember(value, nil)
		out.WriteString(s[from:at[8]])
		out.WriteString(Masked)
		from = at[9]
	}
	out.WriteString(s[from:])
	return out.String()
}

// isProse reports whether a word is one of several of a sentence.
func isProse(word, rest string) bool {
	if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) {
		return false
	}
	next, ok := strings.CutPrefix(rest, " ")
	return ok && next != "" && unicode.IsLetter(rune(next[0]))
}

// maxEmbedded limits how many JSON documents within a text are decoded. In later ones, only single members
// are masked.
const maxEmbedded = 8

// embedded masks the JSON objects within a text.
func (m *masker) embedded(s string) string {
	var out strings.Builder
	for range maxEmbedded {
		at := strings.Index(s, `{"`)
		if at < 0 {
			break
		}
		var document json.RawMessage
		if json.NewDecoder(strings.NewReader(s[at:])).Decode(&document) != nil {
			out.WriteString(s[:at+1])
			s = s[at+1:]
			continue
		}
		masked, _ := m.nested(string(document))
		if masked == "" {
			masked = string(document) // nested too deeply
		}
		out.WriteString(s[:at])
		out.WriteString(masked)
		s = s[at+len(document):]
	}
	out.WriteString(s)
	return out.String()
}

// members masks the members of JSON within a text, also of a text that is cut off or escaped.
func (m *masker) members(s string) string {
	if strings.Contains(s, `"value"`) {
		s = replaceAll(namedPattern, s, func(part []string) string {
			if !m.secretKey(part[2]) || part[3] == Masked {
				return part[0]
			}
			m.rememberJSON(part[3])
			return part[1] + `"` + Masked + `"`
		})
	}
	s = replaceAll(memberPattern, s, func(part []string) string {
		value := strings.Trim(part[3], `"`)
		if !m.secretKey(part[1]) || value == Masked || value == "null" || value == "" {
			return part[0]
		}
		m.rememberJSON(value)
		return `"` + part[1] + `"` + part[2] + `"` + Masked + `"`
	})
	if !strings.Contains(s, `\"`) {
		return s
	}
	return replaceAll(quotedPattern, s, func(part []string) string {
		if !m.secretKey(part[2]) || part[4] == Masked || part[4] == "" {
			return part[0]
		}
		m.rememberJSON(part[4])
		return part[1] + `"` + part[2] + part[1] + `"` + part[3] + part[1] + `"` + Masked + part[1] + `"`
	})
}

// rememberJSON is remember for the inside of a JSON string.
func (m *masker) rememberJSON(quoted string) {
	m.remember(quoted, func(text string) (plain string, err error) {
		err = json.Unmarshal([]byte(`"`+text+`"`), &plain)
		return plain, err
	})
}
