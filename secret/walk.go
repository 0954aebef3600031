package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// level is one object or array that the walk is inside of.
type level struct {
	object bool
	key    bool // the next token is a key of the object
	urls   bool // the strings of the level may be URLs with secrets
	own    bool // the level belongs to a document of its own, or to a key to show: keys to show do not count
	hidden bool // the level belongs to a secret key, so its content is not written
	name   bool // the next value is a name, as of a header
	n      int  // members or elements written

	pairLevel
}

// walk copies a document token by token. Unlike decoding, it keeps the order of keys and
// repeated keys, and nesting cannot overflow the call stack.
type walk struct {
	*masker
	out      bytes.Buffer
	stack    []level
	maskNext bool // the next value belongs to a secret key
	ownNext  bool // the next value is a document of its own, or belongs to a key to show
	urlNext  bool // the next value belongs to a key of URLs with secrets

	at, end      int         // the start and the end of the present token
	values       []pairValue // of pairs whose name is not known yet, level by level
	hiddenValues []pairValue // of pairs whose name is that of a secret
}

// document masks one JSON document. It returns an error if data is anything else.
func (m *masker) document(data []byte) ([]byte, error) {
	if !json.Valid(data) {
		return nil, errors.New("not a JSON document")
	}
	w := walk{masker: m}
	w.out.Grow(len(data))
	for i := 0; i < len(data); {
		w.at, w.end = i, i+1
		switch char := data[i]; char {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
		case '{', '[':
			w.open(char)
			i++
		case '}', ']':
			w.close(char)
			i++
		default:
			w.end = tokenEnd(data, i)
			w.token(data[i:w.end])
			i = w.end
		}
	}
	return w.result(data), nil
}

// tokenEnd returns the end of the string, number or word at the start of data[i:], which is valid JSON.
func tokenEnd(data []byte, i int) int {
	if data[i] != '"' {
		for i < len(data) && strings.IndexByte(" \t\r\n,:]}", data[i]) < 0 {
			i++
		}
		return i
	}
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// top returns the innermost level, or nil.
func (w *walk) top() *level {
	if len(w.stack) == 0 {
		return nil
	}
	return &w.stack[len(w.stack)-1]
}

func (w *walk) close(char byte) {
	if top := w.top(); !top.hidden {
		w.out.WriteByte(char)
		w.endPairs(top)
	}
	w.stack = w.stack[:len(w.stack)-1]
	w.endValue(w.top())
}

func (w *walk) open(char byte) {
	hidden := w.begin()
	if !hidden {
		w.out.WriteByte(char)
	}
	object := char == '{'
	w.stack = append(w.stack, level{object: object, key: object, hidden: hidden, urls: w.takeURLs(), own: w.takeOwn(), pairLevel: pairLevel{first: len(w.values)}})
}

// begin starts a value and reports whether it is hidden.
func (w *walk) begin() bool {
	hidden := false
	if top := w.top(); top != nil {
		hidden = top.hidden
		if top.object {
			top.key = true
		} else if !hidden {
			top.comma(&w.out)
		}
		if !hidden {
			w.beginValue(top)
		}
	}
	if w.maskNext {
		writeString(&w.out, Masked)
		hidden, w.maskNext = true, false
	}
	return hidden
}

// token writes a string, number, true, false or null.
func (w *walk) token(token []byte) {
	top := w.top()
	if top != nil && top.key {
		top.key = false
		if !top.hidden {
			w.member(top, stringOf(token))
		}
		return
	}
	isString := token[0] == '"'
	if top != nil && !top.hidden {
		w.beforeToken(top, token)
	}
	hidden := w.begin()
	if top != nil && !top.object && !hidden && isString && len(token) <= maxName {
		w.noteElement(top, stringOf(token))
	}
	number := token[0] == '-' || token[0] >= '0' && token[0] <= '9'
	switch {
	case hidden && isString && w.collect:
		w.found = append(w.found, stringOf(token))
	case hidden && number && w.collect:
		w.found = append(w.found, string(token))
	case hidden:
	case isString:
		w.string(token, w.takeURLs())
	case number && len(w.known.edits(string(token))) > 0:
		writeString(&w.out, Masked)
	default:
		w.out.Write(token)
	}
	w.endValue(top)
}

// maxName is more than the length of the name of a pair in a list.
const maxName = 4 * maxKey

// beforeToken looks at a value of the level before it is written.
func (w *walk) beforeToken(top *level, token []byte) {
	isString := token[0] == '"'
	if top.name && isString {
		w.noteName(top, stringOf(token))
	}
	if top.option {
		w.maskNext, top.option = !isString || token[1] != '-', false
	}
}

// member writes the key of a member.
func (w *walk) member(top *level, key string) {
	top.comma(&w.out)
	writeString(&w.out, w.text(key))
	w.out.WriteByte(':')
	shown := w.shows(top, key)
	w.maskNext = !shown && w.secretKey(key) || top.named && isValue(key)
	w.ownNext = shown || isKeyOf(w.documents, key)
	w.urlNext = !w.maskNext && holdsURL(key)
	top.name, top.wanted = isName(key), !w.maskNext && isValue(key)
}

// shows reports whether a member of the level is shown in spite of its key.
func (w *walk) shows(l *level, key string) bool { return !l.own && isKeyOf(w.shown, key) }

// isKeyOf reports whether a key is one of the given ones, which are normalised.
func isKeyOf(keys []string, key string) bool {
	return len(keys) > 0 && slices.Contains(keys, normalise(key))
}

// takeOwn reports whether keys to show do not count in the object or array that begins.
func (w *walk) takeOwn() bool {
	top := w.top()
	own := w.ownNext || top != nil && top.own
	w.ownNext = false
	return own
}

// takeURLs reports whether the value that begins may be a URL with a secret.
func (w *walk) takeURLs() bool {
	top := w.top()
	urls := w.urlNext || top != nil && top.urls
	w.urlNext = false
	return urls
}

func (w *walk) string(token []byte, urls bool) {
	plain := stringOf(token)
	shown := w.text(plain)
	if urls {
		shown = w.url(shown)
	}
	if shown != plain || !isSimple(token) {
		writeString(&w.out, shown)
		return
	}
	w.out.Write(token)
}

// isSimple reports whether a JSON string is written as it is.
func isSimple(token []byte) bool {
	for _, char := range token {
		if char < ' ' || char >= utf8.RuneSelf-1 || char == '\\' {
			return false
		}
	}
	return true
}

// stringOf returns the value of a JSON string.
func stringOf(token []byte) string {
	if isSimple(token) {
		return string(token[1 : len(token)-1])
	}
	var value string
	_ = json.Unmarshal(token, &value) // the document is valid
	return value
}

func (l *level) comma(out *bytes.Buffer) {
	if l.n > 0 {
		out.WriteByte(',')
	}
	l.n++
}

func writeString(out *bytes.Buffer, s string) {
	if isSimple([]byte(s)) && strings.IndexByte(s, '"') < 0 {
		out.WriteByte('"')
		out.WriteString(s)
		out.WriteByte('"')
		return
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)       // never fails for a string
	out.Truncate(out.Len() - 1) // remove the newline that Encode adds
}
