package secret

import (
	"bytes"
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text, or a decoded form of it, with the place in the text that each byte comes from.
type view struct {
	data     []byte
	from, to []int32 // byte i was decoded from text[from[i]:to[i]]; nil if the view is the text
}

// source returns the part of the text that data[i:j] was decoded from.
func (v *view) source(i, j int) span {
	if v.from == nil {
		return span{i, j}
	}
	return span{int(v.from[i]), int(v.to[j-1])}
}

// put appends a byte that was decoded from the given part of the text.
func (v *view) put(char byte, s span) {
	v.data = append(v.data, char)
	v.from = append(v.from, int32(s.from)) //nolint:gosec // texts are shorter than 2 GiB
	v.to = append(v.to, int32(s.to))       //nolint:gosec // as above
}

// escapes is a set of kinds of escape sequences.
type escapes uint8

const (
	percents    escapes = 1 << iota // %41, %u0041
	backslashes                     // \n, \x41, \u0041, \101, and a backslash before any sign
	entities                        // &amp;, &#65;, &#x41;
	zeros                           // the zero bytes of UTF-16; they are dropped
	pluses                          // the spaces of forms
	allEscapes  = percents | backslashes | entities | zeros
)

// escapesIn returns the kinds of escape sequences that data may contain.
func escapesIn(data []byte) escapes {
	var found escapes
	for i, char := range []byte{'%', '\\', '&', 0, '+'} {
		if bytes.IndexByte(data, char) >= 0 {
			found |= 1 << i
		}
	}
	return found
}

// decode returns v with the escape sequences of the given kinds decoded once. It returns nil if there are
// none.
func (v *view) decode(kinds escapes) *view {
	var out *view
	for i := 0; i < len(v.data); {
		text, n := unescape(v.data[i:], kinds)
		if out == nil {
			if n == 0 {
				i++
				continue
			}
			out = v.prefix(i)
		}
		if n == 0 {
			out.put(v.data[i], v.source(i, i+1))
			i++
			continue
		}
		from := v.source(i, i+n)
		for j := range len(text) {
			out.put(text[j], from)
		}
		i += n
	}
	return out
}

// prefix returns a copy of the first n bytes.
func (v *view) prefix(n int) *view {
	size := len(v.data)
	out := &view{append(make([]byte, 0, size), v.data[:n]...), make([]int32, 0, size), make([]int32, 0, size)}
	if v.from != nil {
		out.from, out.to = append(out.from, v.from[:n]...), append(out.to, v.to[:n]...)
		return out
	}
	for i := range int32(n) { //nolint:gosec // texts are shorter than 2 GiB
		out.from, out.to = append(out.from, i), append(out.to, i+1)
	}
	return out
}

// decodeText returns s with its escape sequences decoded once.
func decodeText(s string) string {
	if out := (&view{data: []byte(s)}).decode(allEscapes); out != nil {
		return string(out.data)
	}
	return s
}

// unescape decodes the escape sequence at the start of data and returns its length. The length is 0 if there
// is none.
func unescape(data []byte, kinds escapes) (string, int) {
	switch char := data[0]; {
	case char > '\\':
	case char == '%' && kinds&percents != 0:
		if len(data) > 1 && data[1] == 'u' {
			return hexRune(data, 2, 4)
		}
		return hexByte(data, 1)
	case char == '\\' && kinds&backslashes != 0:
		return unescapeBackslash(data)
	case char == '&' && kinds&entities != 0:
		return unescapeEntity(data)
	case char == 0 && kinds&zeros != 0:
		return "", 1
	case char == '+' && kinds&pluses != 0:
		return " ", 1
	}
	return "", 0
}

// hexByte decodes the two digits at data[at:] as a byte.
func hexByte(data []byte, at int) (string, int) {
	value, ok := hexDigits(data, at, 2)
	if !ok {
		return "", 0
	}
	return string([]byte{byte(value)}), at + 2
}

// hexRune decodes n digits at data[at:] as a character.
func hexRune(data []byte, at, n int) (string, int) {
	value, ok := hexDigits(data, at, n)
	if !ok || value > utf8.MaxRune {
		return "", 0
	}
	end := at + n
	if r := rune(value); utf16.IsSurrogate(r) && end+at <= len(data) && string(data[end:end+at]) == string(data[:at]) {
		if low, ok := hexDigits(data, end+at, n); ok {
			if pair := utf16.DecodeRune(r, rune(low)); pair != utf8.RuneError {
				return string(pair), end + at + n
			}
		}
	}
	return string(rune(value)), end
}

func hexDigits(data []byte, at, n int) (value uint32, ok bool) {
	if at+n > len(data) {
		return 0, false
	}
	for _, char := range data[at : at+n] {
		digit := hexValues[char]
		if digit < 0 {
			return 0, false
		}
		value = value<<4 | uint32(digit)
	}
	return value, true
}

func unescapeBackslash(data []byte) (string, int) {
	if len(data) < 2 {
		return "", 0
	}
	switch char := data[1]; {
	case char == 'x':
		return hexByte(data, 2)
	case char == 'u':
		return hexRune(data, 2, 4)
	case char == 'U':
		return hexRune(data, 2, 8)
	case char >= '0' && char <= '7':
		if len(data) >= 4 && char <= '3' && isOctal(data[2]) && isOctal(data[3]) {
			return string([]byte{(char-'0')<<6 | (data[2]-'0')<<3 | (data[3] - '0')}), 4
		}
		if char == '0' {
			return "\x00", 2
		}
	case char >= ' ' && char < utf8.RuneSelf && !isWord(char):
		return string(rune(char)), 2
	default:
		if i := strings.IndexByte("abfnrtv", char); i >= 0 {
			return "\a\b\f\n\r\t\v"[i : i+1], 2
		}
	}
	return "", 0
}

func isOctal(char byte) bool { return char >= '0' && char <= '7' }

// isWord reports whether a byte is part of a word.
func isWord(char byte) bool {
	return char == '_' || char >= '0' && char <= '9' || char >= 'A' && char <= 'Z' || char >= 'a' && char <= 'z' || char >= utf8.RuneSelf
}

// maxEntity is longer than every entity.
const maxEntity = 40

func unescapeEntity(data []byte) (string, int) {
	end := bytes.IndexByte(data[:min(len(data), maxEntity)], ';')
	if end < 2 {
		return "", 0
	}
	entity := string(data[1:end])
	if digits, ok := strings.CutPrefix(entity, "#"); ok {
		base := 10
		if len(digits) > 1 && digits[0]|0x20 == 'x' {
			digits, base = digits[1:], 16
		}
		value, err := strconv.ParseUint(digits, base, 32)
		if err != nil || value > utf8.MaxRune {
			return "", 0
		}
		return string(rune(value)), end + 1
	}
	// UnescapeString also decodes the beginning of a longer name, as of &ampere;.
	if text := html.UnescapeString("&" + entity + ";"); text != "&"+entity+";" && !strings.HasSuffix(text, ";") {
		return text, end + 1
	}
	return "", 0
}
