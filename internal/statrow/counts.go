package statrow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Counts are numbers by a word, such as errors by class.
type Counts map[string]int64

// String returns the stored form: "word:count" pairs in the order of the words, separated by spaces.
func (c Counts) String() string {
	var b strings.Builder
	for i, word := range slices.Sorted(maps.Keys(c)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s:%d", strings.Map(wordRune, word), c[word])
	}
	return b.String()
}

// wordRune replaces what separates words and counts.
func wordRune(r rune) rune {
	if r == ':' || r <= ' ' || r == 0x7f {
		return '_'
	}
	return r
}

// Add adds counts in their stored form.
func (c Counts) Add(text string) error {
	for pair := range strings.FieldsSeq(text) {
		word, count, _ := strings.Cut(pair, ":")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("parse counts: invalid count %q", pair)
		}
		c[word] += n
	}
	return nil
}
