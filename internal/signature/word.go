package signature

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordLength returns the length of the word with which a text begins, or 0. Addresses, paths, numbers and times
// are one word each.
func wordLength(text string) int {
	if first, _ := utf8.DecodeRuneInString(text); !isWordRune(first) && first != '/' {
		return 0
	}
	length := len(text)
	for i, r := range text {
		if !isWordRune(r) && !isInnerRune(r) {
			length = i
			break
		}
	}
	if strings.Contains(text[:length], "://") { // the query of a URL has other characters
		if end := strings.IndexAny(text, " \t\"'<>(),;"); end >= 0 {
			return end
		}
		return len(text)
	}
	return length
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// isInnerRune reports whether a character can be inside of a word.
func isInnerRune(r rune) bool {
	switch r {
	case '.', ':', '@', '/', '%', '+', '-':
		return true
	}
	return false
}

// varies reports whether a word differs between two errors of one kind.
func varies(word string) bool {
	if word == "" || knownWord(word) == ordinary {
		return false
	}
	return len(word) > maxWord || strings.ContainsFunc(word, unicode.IsDigit) || isHex(word) || isAddress(word)
}

// isHex reports whether a word is a hexadecimal number of at least 8 digits.
func isHex(word string) bool {
	return len(word) >= 8 && strings.Trim(word, "0123456789abcdefABCDEF") == ""
}

// isAddress reports whether a word is an e-mail address, a URL, a path or a dotted name.
func isAddress(word string) bool {
	if word[0] == '/' || strings.Contains(word, "://") || strings.Count(word, "/") > 1 {
		return true
	}
	inner := word[1:]
	return strings.ContainsRune(inner, '@') || strings.ContainsRune(inner, '.')
}

// isCode reports whether a word is a short number, such as an HTTP status or an error number.
func isCode(word string) bool {
	return len(word) <= 5 && word != "" && strings.Trim(word, "0123456789") == ""
}

// meaning is what a word that is known says about itself or about the number after it.
type meaning int

const (
	unknown   meaning = iota
	ordinary          // has a digit or a dot and does not vary
	announces         // announces a code
)

// knownWord returns the meaning of a word, whose case does not matter.
func knownWord(word string) meaning {
	if len(word) > 10 || utf8.RuneCountInString(word) != len(word) {
		return unknown
	}
	switch strings.ToLower(word) {
	case "code", "status", "errno", "error", "http", "http/1.1", "http/2", "http/2.0", "http/1.0", "sqlstate", "class":
		return announces
	case "x509", "http2", "http3", "ipv4", "ipv6", "utf8", "utf-8", "md5", "sha1", "sha256", "base64", "oauth2", "pop3", "i/o", "e.g", "i.e":
		return ordinary
	}
	return unknown
}
