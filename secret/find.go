package secret

import (
	"bytes"
	"unicode/utf8"
)

// span is the part text[from:to] of a text.
type span struct{ from, to int }

// finder looks for known secrets in a text and in its decoded forms.
type finder struct {
	long  *matcher // the secrets of at least minRedacted bytes
	short *matcher // shorter ones, which are found only as whole words; nil if there is none
	spans []span   // what was found
}

const (
	// maxBlocks is how many layers of base64, hexadecimal digits and lists of numbers are decoded.
	maxBlocks = 2
	// maxEscapes is how many layers of escape sequences are decoded, on each of these layers.
	maxEscapes = 3
	// maxKinds is how many layers are decoded of which each is of one kind.
	maxKinds = 2
)

// find adds the secrets in v, and in what v decodes to, to the spans.
func (f *finder) find(v *view, blocks int) {
	words := blocks == maxBlocks
	f.match(v, words)
	if !words && !mayBeText(v.data) {
		if bytes.Count(v.data, []byte{0}) >= minStretch/2 {
			f.kinds(v, zeros, words, 1)
		}
		return
	}
	f.blocks(v, blocks, false)
	kinds := escapesIn(v.data)
	if kinds&allEscapes == 0 {
		return
	}
	f.kinds(v, kinds, words, maxKinds)
	if blocks > 0 && kinds&percents != 0 && kinds&pluses != 0 {
		if form := v.decode(percents | pluses); form != nil {
			f.blocks(form, blocks, v.from == nil)
		}
	}
	plain := v.from == nil
	for range maxEscapes {
		if v = v.decode(allEscapes); v == nil {
			return
		}
		f.match(v, words)
		f.blocks(v, blocks, plain)
	}
}

// minStretch is the length in bytes of a piece of UTF-8 that text has and random bytes hardly ever have.
const minStretch = 8

// mayBeText reports whether data has a piece of UTF-8 or of UTF-16. What ordinary words decode to has none, so
// that decoding it further is not worth while.
func mayBeText(data []byte) bool {
	n := 0
	for i := 0; i < len(data); {
		size := 1
		switch char := data[i]; {
		case char >= utf8.RuneSelf:
			if _, size = utf8.DecodeRune(data[i:]); size == 1 {
				n = -1
			}
		case char == 0x7f || char < ' ' && char != 0 && !isSpace(char):
			n = -1
		}
		n += size
		i += size
		if n >= minStretch {
			return true
		}
	}
	return false
}

// kinds adds the secrets in v with one kind of escape sequences decoded after the other. Decoded together,
// one kind may take a part of a secret for a sequence of another.
func (f *finder) kinds(v *view, kinds escapes, words bool, layers int) {
	for _, kind := range []escapes{percents, backslashes, entities, zeros} {
		if kinds&kind == 0 {
			continue
		}
		decoded := v.decode(kind)
		if decoded == nil {
			continue
		}
		f.match(decoded, words)
		if layers > 1 {
			f.kinds(decoded, escapesIn(decoded.data), words, layers-1)
		}
	}
}

// match adds the secrets in v as it is to the spans.
func (f *finder) match(v *view, words bool) {
	if f.long != nil {
		state, escape, before := int32(0), 0, int32(0)
		for i, char := range v.data {
			switch char {
			case '%', '\\', '&':
				escape, before = i, state
			case '.', cutMark[0]:
				f.cut(v, i, i, state)
				if i-escape < maxCutEscape {
					f.cut(v, i, escape, before)
				}
			}
			state = f.long.step(state, fold(char))
			if n := int(f.long.nodes[state].longest); n > 0 {
				f.add(v.source(i+1-n, i+1))
			}
		}
	}
	if f.short == nil || !words {
		return
	}
	state := int32(0)
	for i, char := range v.data {
		state = f.short.step(state, fold(char))
		for at := state; at != 0; at = f.short.nodes[at].fail {
			if n := int(f.short.nodes[at].depth); f.short.nodes[at].own && isWhole(v.data, i+1-n, i+1) {
				f.add(v.source(i+1-n, i+1))
			}
		}
	}
}

const (
	// minCut is the minimum length in bytes of the beginning of a secret that is found where a text was cut.
	minCut = 4
	// maxCutEscape is more than the length of what the cut can have left of an escape sequence.
	maxCutEscape = 8
)

// tail adds the beginning of a secret at the end of a view.
func (f *finder) tail(v *view) {
	state := int32(0)
	for _, char := range v.data {
		state = f.long.step(state, fold(char))
	}
	if n := int(f.long.nodes[state].depth); n >= minCut {
		f.add(v.source(len(v.data)-n, len(v.data)))
	}
}

// cut adds the beginning of a secret if the text was cut at i. The beginning ends at end, where the matcher
// is in the given state.
func (f *finder) cut(v *view, i, end int, state int32) {
	if n := int(f.long.nodes[state].depth); n >= minCut && isCut(v.data[i:]) {
		f.add(v.source(end-n, i))
	}
}

// isCut reports whether a text goes on with the mark of a cut.
func isCut(data []byte) bool {
	return data[0] == '.' && bytes.HasPrefix(data, []byte("...")) || data[0] == cutMark[0] && bytes.HasPrefix(data, []byte("…"))
}

// isWhole reports whether no word goes on before or after data[i:j].
func isWhole(data []byte, i, j int) bool {
	return (i == 0 || !isWord(data[i]) || !isWord(data[i-1])) && (j == len(data) || !isWord(data[j-1]) || !isWord(data[j]))
}

// add appends a span. Spans that overlap the last one extend it, so that their number stays small.
func (f *finder) add(s span) {
	if n := len(f.spans); n > 0 && s.from <= f.spans[n-1].to && s.to >= f.spans[n-1].from {
		last := &f.spans[n-1]
		last.from, last.to = min(last.from, s.from), max(last.to, s.to)
		return
	}
	f.spans = append(f.spans, s)
}

// blocks finds secrets in what the base64, hexadecimal digits and lists of numbers of v decode to. If changed
// is set, only runs that decoding has changed are of interest.
func (f *finder) blocks(v *view, blocks int, changed bool) {
	if blocks == 0 || f.long == nil || len(v.data) < minBase64 {
		return
	}
	var out view
	decode := func(phases int, decoder func(out *view, places []int)) func(places []int) {
		return func(places []int) {
			first, last := places[0], places[len(places)-1]+1
			if s := v.source(first, last); changed && s.to-s.from == last-first {
				return
			}
			// The run may begin with other letters, so that its groups of digits can start anywhere.
			for phase := range phases {
				out = view{out.data[:0], out.from[:0], out.to[:0]}
				decoder(&out, places[phase:])
				f.find(&out, blocks-1)
				if last < len(v.data) && isCut(v.data[last:]) {
					f.tail(&out)
				}
			}
		}
	}
	v.eachRun(base64Values, minBase64, decode(4, v.base64))
	v.eachRun(hexValues, minHex, decode(2, v.hex))
	v.eachList(func(list *view) { f.find(list, blocks-1) })
}
