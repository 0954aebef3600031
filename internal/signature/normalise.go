package signature

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// placeholder stands for a part of a text that differs between two errors of one group.
const placeholder = "…"

const (
	maxRead = 600 // bytes of a text that Normalise reads
	maxWord = 40  // bytes of the longest word that is not taken for an id
)

// Normalise returns the first line of a text with a placeholder for each quoted text, number, id, address,
// host name, path and time, and for each of the names. Its cost is linear in the length of the text.
func Normalise(text string, names ...string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(cutText(text, maxRead)), "\n")
	n := normaliser{out: make([]byte, 0, len(line)+len(placeholder))}
	for line != "" {
		if length := nameLength(line, n.last, names); length > 0 {
			n.replace()
			line = line[length:]
		} else if length := quotedLength(line, n.last); length > 0 {
			n.replace()
			line = line[length:]
		} else if length := wordLength(line); length > 0 {
			n.word(line[:length])
			line = line[length:]
		} else {
			r, size := utf8.DecodeRuneInString(line)
			n.separate(r)
			line = line[size:]
		}
	}
	return strings.TrimSpace(cutText(string(n.out), MaxText))
}

// normaliser builds a normalised text.
type normaliser struct {
	out  []byte
	end  int  // where the last placeholder of out ends; 0 if there is none
	code bool // a number that comes next is a code, which says what went wrong
	last rune // the character before; 0 at the beginning
}

// word adds a word, or a placeholder for one that varies.
func (n *normaliser) word(word string) {
	trimmed := strings.TrimRight(word, ".:+-@/%")
	code := n.code && isCode(trimmed)
	n.code = knownWord(trimmed) == announces
	n.last, _ = utf8.DecodeLastRuneInString(word)
	if code || !varies(trimmed) {
		n.out = append(n.out, word...)
		return
	}
	n.replace()
	for _, r := range word[len(trimmed):] {
		n.separate(r)
	}
}

// separate adds a character that belongs to no word. It joins blanks.
func (n *normaliser) separate(r rune) {
	n.last = r
	if unicode.IsSpace(r) {
		r = ' '
	}
	if r == ' ' && (len(n.out) == 0 || n.out[len(n.out)-1] == ' ') {
		return
	}
	if !strings.ContainsRune(" (:=#[", r) {
		n.code = false
	}
	n.out = utf8.AppendRune(n.out, r)
}

// replace adds a placeholder. Several in a row, such as those of a list or a date, become one.
func (n *normaliser) replace() {
	n.code, n.last = false, 'x'
	if n.end > 0 && strings.Trim(string(n.out[n.end:]), " ,;:/+-") == "" {
		n.out = n.out[:n.end]
		return
	}
	n.out = append(n.out, placeholder...)
	n.end = len(n.out)
}

// nameLength returns the length of the longest of the names at the beginning of a text, or 0. A name in the
// middle of a longer word does not count.
func nameLength(text string, before rune, names []string) (length int) {
	if isWordRune(before) {
		return 0
	}
	for _, name := range names {
		if len(name) > length && strings.HasPrefix(text, name) {
			if next, _ := utf8.DecodeRuneInString(text[len(name):]); len(name) == len(text) || !isWordRune(next) {
				length = len(name)
			}
		}
	}
	return length
}

// closing has the closing marks of each opening quotation mark.
func closing(opening rune) string {
	switch opening {
	case '"', '\'', '`':
		return string(opening)
	case '“':
		return "”"
	case '„':
		return "“”"
	case '‘', '‚':
		return "’‘"
	case '«':
		return "»"
	}
	return ""
}

// quotedLength returns the length of the quoted text with which a text begins, or 0. A quotation mark after a
// letter, as in can't, opens nothing, and one before a letter, as in 'Ann O'Hara', closes nothing. A mark behind a
// backslash is part of the quoted text, unless the text began with one. A quoted text without an end goes on
// where the text was cut.
func quotedLength(text string, before rune) int {
	r, size := utf8.DecodeRuneInString(text)
	marks := closing(r)
	if marks == "" || isWordRune(before) {
		return 0
	}
	for i := size; i < len(text); {
		c, n := utf8.DecodeRuneInString(text[i:])
		i += n
		if c == '\\' && before != '\\' {
			_, n = utf8.DecodeRuneInString(text[i:])
			i += n
		} else if strings.ContainsRune(marks, c) {
			if next, _ := utf8.DecodeRuneInString(text[i:]); c == '"' || i == len(text) || !isWordRune(next) {
				return i
			}
		}
	}
	if r == '\'' || r == '‘' || r == '‚' {
		return 0 // more likely an apostrophe
	}
	return len(text)
}

// cutText returns text, cut to limit bytes between two characters.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
