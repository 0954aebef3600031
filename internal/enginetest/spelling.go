package enginetest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
)

// Spelling is one way in which a text may write a secret.
type Spelling struct{ Name, Text string }

// Spellings returns the ways in which programs write a secret into logs, errors and documents.
func Spellings(secret string) []Spelling {
	raw := []byte(secret)
	quoted, _ := json.Marshal(secret)
	nested, _ := json.Marshal(string(quoted))
	std, utf := base64.StdEncoding, utf16Bytes(secret)
	everyByte, hexText := "", hex.EncodeToString(raw)
	for _, b := range raw {
		everyByte += fmt.Sprintf("%%%02X", b)
	}
	long := strings.Repeat("-", 60) + secret
	return []Spelling{
		{"plain", secret},
		{"percent, of a query", url.QueryEscape(secret)},
		{"percent, of a path", url.PathEscape(secret)},
		{"percent, lower case", lowerPercent(url.QueryEscape(secret))},
		{"percent of every byte", everyByte},
		{"percent of every byte, lower case", strings.ToLower(everyByte)},
		{"percent, twice", url.QueryEscape(url.QueryEscape(secret))},
		{"HTML", html.EscapeString(secret)},
		{"HTML, decimal", perRune(secret, "&#%d;")},
		{"HTML, hexadecimal", perRune(secret, "&#x%x;")},
		{"hexadecimal", hexText},
		{"hexadecimal, upper case", strings.ToUpper(hexText)},
		{`\u`, perUnit(secret, `\u%04x`)},
		{`\u, upper case`, perUnit(secret, `\u%04X`)},
		{"%q", strings.Trim(fmt.Sprintf("%q", secret), `"`)},
		{"%+q", strings.Trim(fmt.Sprintf("%+q", secret), `"`)},
		{"JSON", inside(quoted)},
		{"JSON in JSON", inside([]byte(inside(nested)))},
		{"[]byte by %v", strings.Trim(fmt.Sprintf("%v", raw), "[]")},
		{"base64", std.EncodeToString(raw)},
		{"base64 of user:secret", std.EncodeToString([]byte("user:" + secret))},
		{"base64 of u:secret, for URLs", base64.URLEncoding.EncodeToString([]byte("u:" + secret))},
		{"base64, twice", std.EncodeToString([]byte(std.EncodeToString(raw)))},
		{"base64, wrapped", wrap(std.EncodeToString([]byte(long)), 76)},
		{"base64 of UTF-16", std.EncodeToString(utf)},
		{"UTF-16", string(utf)},
	}
}

// lowerPercent writes the digits of percent encodings in lower case.
func lowerPercent(text string) string {
	parts := strings.Split(text, "%")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToLower(parts[i][:2]) + parts[i][2:]
	}
	return strings.Join(parts, "%")
}

func perRune(text, format string) (out string) {
	for _, r := range text {
		out += fmt.Sprintf(format, r)
	}
	return out
}

func perUnit(text, format string) (out string) {
	for _, unit := range utf16.Encode([]rune(text)) {
		out += fmt.Sprintf(format, unit)
	}
	return out
}

func utf16Bytes(text string) (out []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return out
}

// inside returns a JSON string without its quotes.
func inside(quoted []byte) string { return string(quoted[1 : len(quoted)-1]) }

func wrap(text string, width int) string {
	var lines []string
	for len(text) > width {
		lines, text = append(lines, text[:width]), text[width:]
	}
	return strings.Join(append(lines, text), "\n")
}
