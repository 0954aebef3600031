package secret

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
)

// known holds the secrets that are searched in texts. A nil known holds none.
type known struct {
	long, short *matcher
	shortest    int  // no text shorter than this has a secret
	all         bool // there are too many secrets to search for; every text is masked as a whole
}

const (
	// minRedacted is the minimum length in bytes of a secret that is also found within a word. Shorter
	// secrets would match parts of ordinary words.
	minRedacted = 6
	// minWord is the minimum length in bytes of a secret that is found as a whole word.
	minWord = 3
	// maxKnown limits the bytes of all secrets of a Redactor. A job's arguments cannot hold more.
	maxKnown = 2 << 20
	// piece is the length in bytes of the parts that longer secrets are searched by, so that a part of such
	// a secret is found as well, and that text behind a cut need not be read far.
	piece = 64
)

func newKnown(secrets []string) *known {
	var long, short []string
	size := 0
	for _, secret := range secrets {
		if secret == Masked {
			continue
		}
		for _, form := range formsOf(secret) {
			switch {
			case len(form) >= minRedacted:
				size += len(form)
				long = append(long, pieces(form)...)
			case len(form) >= minWord && form == secret:
				short = append(short, form)
			}
		}
		if size > maxKnown {
			return &known{all: true}
		}
	}
	if len(long)+len(short) == 0 {
		return nil
	}
	k := &known{shortest: minRedacted}
	if len(long) > 0 {
		k.long = newMatcher(long)
	}
	if len(short) > 0 {
		k.short, k.shortest = newMatcher(short), minWord
	}
	return k
}

// formsOf returns the texts that stand for a secret in a decoded text. A secret that looks like an escape
// sequence is itself decoded there.
func formsOf(secret string) []string {
	forms := []string{secret}
	if trimmed := strings.TrimSpace(secret); trimmed != secret {
		forms = append(forms, trimmed)
	}
	decoded := secret
	for range maxEscapes {
		next := decodeText(decoded)
		if next == decoded {
			break
		}
		decoded = next
		forms = append(forms, decoded)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r >= 0x80 }) {
		// Without its zero bytes, UTF-16 of other characters is their ASCII.
		little, big := utf16Bytes(secret)
		forms = append(forms, little, big, validText(little), validText(big))
	}
	if len(secret)%4 == 0 { // as encoding/json encodes a []byte
		if binary, err := base64.StdEncoding.DecodeString(secret); err == nil && len(bytes.Trim(binary, "\x00")) >= minRedacted {
			forms = append(forms, string(binary))
		}
	}
	if valid := validText(secret); valid != secret {
		forms = append(forms, valid)
	}
	return forms
}

// validText returns s as encoding/json writes it: with a replacement character for each byte that is not UTF-8.
func validText(s string) string { return string([]rune(s)) }

// utf16Bytes returns a text in UTF-16, in both orders of bytes and without zero bytes.
func utf16Bytes(s string) (little, big string) {
	var l, b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		high, low := byte(unit>>8), byte(unit) //nolint:gosec // the two bytes of a unit
		l, b = append(l, low, high), append(b, high, low)
	}
	dropZeros := func(bytes []byte) string {
		return string(slices.DeleteFunc(bytes, func(char byte) bool { return char == 0 }))
	}
	return dropZeros(l), dropZeros(b)
}

// pieces splits a secret into parts of piece bytes. The last two overlap.
func pieces(secret string) []string {
	if len(secret) <= piece {
		return []string{secret}
	}
	var parts []string
	for i := 0; i+piece <= len(secret); i += piece {
		parts = append(parts, secret[i:i+piece])
	}
	return append(parts, secret[len(secret)-piece:])
}

// edits returns the edits that mask the secrets in a text and in its decoded forms.
func (k *known) edits(text string) []edit {
	if k == nil || text == "" || len(text) < k.shortest {
		return nil
	}
	if k.all || len(text) > math.MaxInt32 {
		return []edit{{span{0, len(text)}, Masked}}
	}
	f := finder{long: k.long, short: k.short}
	f.find(&view{data: []byte(text)}, maxBlocks)
	list := make([]edit, len(f.spans))
	for i, s := range f.spans {
		list[i] = edit{s, Masked}
	}
	return list
}

// longOnly returns k without the secrets that are found only as whole words.
func (k *known) longOnly() *known {
	if k == nil || k.all {
		return k
	}
	return &known{long: k.long, shortest: k.shortest}
}
