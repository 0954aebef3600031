package secret_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/nawasara/nawasync/secret"
)

// encoding is a way in which a text may be written within another one.
type encoding struct {
	name   string
	encode func(string) string
}

func encodings() []encoding {
	each := func(format string) func(string) string {
		return func(s string) string {
			var out strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&out, format, s[i])
			}
			return out.String()
		}
	}
	units := func(s string, order binary.AppendByteOrder) string {
		var out []byte
		for _, unit := range utf16.Encode([]rune(s)) {
			out = order.AppendUint16(out, unit)
		}
		return string(out)
	}
	return []encoding{
		{"plain", func(s string) string { return s }},
		{"query", url.QueryEscape},
		{"path", url.PathEscape},
		{"percent", each("%%%02x")},
		{"PERCENT", each("%%%02X")},
		{"html", html.EscapeString},
		{"entities", func(s string) string { return eachRune(s, "&#%d;") }},
		{"hex entities", func(s string) string { return eachRune(s, "&#x%X;") }},
		{"json", func(s string) string { text, _ := json.Marshal(s); return string(text) }},
		{"unicode", func(s string) string {
			var out strings.Builder
			for _, unit := range utf16.Encode([]rune(s)) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
			return out.String()
		}},
		{"%q", strconv.Quote},
		{"%+q", strconv.QuoteToASCII},
		{"bytes", each(`\x%02x`)},
		{"octal", each(`\%03o`)},
		{"hex", func(s string) string { return hex.EncodeToString([]byte(s)) }},
		{"HEX", func(s string) string { return fmt.Sprintf("%X", s) }},
		{"spaced hex", func(s string) string { return fmt.Sprintf("% x", s) }},
		{"%v", list},
		{"%#v", func(s string) string { return fmt.Sprintf("%#v", []byte(s)) }},
		{"array", func(s string) string { return strings.ReplaceAll(list(s), " ", ",") }},
		{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
		{"base64url", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }},
		{"wrapped", func(s string) string {
			text := base64.StdEncoding.EncodeToString([]byte(s))
			var out strings.Builder
			for len(text) > 20 {
				out.WriteString(text[:20] + "\r\n  ")
				text = text[20:]
			}
			return out.String() + text
		}},
		{"utf16le", func(s string) string { return units(s, binary.LittleEndian) }},
		{"utf16be", func(s string) string { return units(s, binary.BigEndian) }},
	}
}

// list returns the bytes of s as %v prints them.
func list(s string) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, " %d", s[i])
	}
	return "[" + strings.TrimPrefix(out.String(), " ") + "]"
}

func eachRune(s, format string) string {
	var out strings.Builder
	for _, r := range s {
		fmt.Fprintf(&out, format, r)
	}
	return out.String()
}

func redactorOf(secrets ...string) *secret.Redactor {
	return secret.NewRedactor([]byte(`{}`), []byte(`{}`), secrets, nil)
}

func TestSecretsAreFoundInTwoLayersOfEveryEncoding(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"p4ss\"w&rd uniq+ue", "hunter2hunter2", "pässwörd-ünïque", "<%41\\n\\u0042&amp;>", "\u5bc6\u7801\u5bc6\u7801", strings.Repeat("long secret, ", 20),
	} {
		redactor := redactorOf(value)
		for _, first := range encodings() {
			for _, second := range encodings() {
				if strings.HasPrefix(first.name, "utf16") && strings.HasPrefix(second.name, "utf16") {
					continue // bytes that are no text have no UTF-16
				}
				inner := first.encode("user:" + value + ";")
				planted := second.encode("in " + inner + " in")
				got := redactor.Text("before " + planted + " after")
				if left := rest(first, second, value, got); left != "" {
					t.Errorf("%s within %s of %q: %q is left of %q:\n%q", first.name, second.name, value, left, planted, got)
				}
				if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
					t.Errorf("%s within %s of %q: other text is masked: %q", first.name, second.name, value, got)
				}
			}
		}
	}
}

// rest returns the part of the encoded secret that a redacted text still has, or "". To leave bits of the
// secret's first and last characters is not avoidable in all encodings.
func rest(first, second encoding, value, redacted string) string {
	if strings.Contains(redacted, value) {
		return value
	}
	if !strings.Contains(redacted, secret.Masked) {
		return redacted
	}
	middle := []rune(value)
	middle = middle[1 : len(middle)-1]
	for _, text := range []string{first.encode(string(middle)), second.encode(string(middle)), second.encode(first.encode(string(middle)))} {
		text = strings.Trim(text, `"[]`)
		if strings.Contains(redacted, text) {
			return text
		}
	}
	return ""
}
