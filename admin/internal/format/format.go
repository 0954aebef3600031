// Package format formats numbers, durations and percentages for the pages.
package format

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Language translates texts. It also says how numbers are written, by its translation of "1,234.5".
type Language interface {
	T(text string) string
	Tf(format string, args ...any) string
}

// separators returns what stands between groups of three digits, and before decimals.
func separators(l Language) (group, decimal string) {
	sample := l.T("1,234.5")
	left, rest, found := strings.Cut(strings.TrimPrefix(sample, "1"), "234")
	right, last, ended := strings.Cut(rest, "5")
	if !strings.HasPrefix(sample, "1") || !found || !ended || last != "" {
		return ",", "."
	}
	return left, right
}

// Span formats a duration in its largest unit. A negative duration counts as zero.
func Span(l Language, d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Second:
		return together(l.Tf("%s ms", strconv.FormatInt(d.Milliseconds(), 10)))
	case d < 10*time.Second:
		text := tenths(l, d.Seconds())
		if whole, isWhole := strings.CutSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0"); isWhole {
			text = whole
		}
		return together(l.Tf("%s s", text))
	case d < 2*time.Minute:
		return together(l.Tf("%s s", strconv.Itoa(int(d.Seconds()))))
	case d < 2*time.Hour:
		return together(l.Tf("%s min", strconv.Itoa(int(d.Minutes()))))
	case d < 48*time.Hour:
		return together(l.Tf("%s h", strconv.Itoa(int(d.Hours()))))
	}
	return together(l.Tf("%s d", Thousands(l, int64(d.Hours()/24))))
}

// together returns a number and its unit with a space that does not break the line.
func together(text string) string { return strings.ReplaceAll(text, " ", "\u00a0") }

// tenths formats a number with one decimal.
func tenths(l Language, n float64) string {
	_, decimal := separators(l)
	return strings.Replace(strconv.FormatFloat(n, 'f', 1, 64), ".", decimal, 1)
}

// Thousands formats a number that is not negative, with separators between groups of three digits.
func Thousands[N ~int | ~int64](l Language, n N) string {
	text := strconv.FormatInt(int64(n), 10)
	if len(text) < 4 {
		return text
	}
	group, _ := separators(l)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + group + text[i:]
	}
	return text
}

// Percent formats part/of as a percentage. It rounds down, so that only a complete share is 100 %.
// It returns "–" if of is 0.
func Percent(l Language, part, of int64) string {
	if of == 0 {
		return "–"
	}
	share := 100 * float64(part) / float64(of)
	if share > 0 && (share < 10 || share > 99) && part != of {
		return together(l.Tf("%s %%", tenths(l, math.Floor(share*10)/10)))
	}
	return together(l.Tf("%s %%", strconv.Itoa(int(share))))
}

// FirstLine returns the first line of an error for a list, cut after 160 characters.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return Cut(line, 160)
}

// Cut returns the first n characters of a text, with "…" after them if the text is longer.
func Cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return text
}

// tailLength is how many characters of a long name stay visible at its end.
const tailLength = 10

// Halves splits a name of more than 24 characters into the part that may be cut and its end. The end of a shorter
// name is "".
func Halves(name string) (head, tail string) {
	runes := []rune(name)
	if len(runes) <= 24 {
		return name, ""
	}
	at := len(runes) - tailLength
	for at > 0 && unicode.In(runes[at], unicode.Mn, unicode.Me, unicode.Cf) { // they belong to the character before
		at--
	}
	return string(runes[:at]), string(runes[at:])
}

// Decimal formats a number with at most two digits after the point.
func Decimal(l Language, f float64) string {
	_, decimal := separators(l)
	text := strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".")
	return strings.Replace(text, ".", decimal, 1)
}

// Significant formats a number with a number of significant digits.
func Significant(l Language, f float64, digits int) string {
	_, decimal := separators(l)
	return strings.Replace(strconv.FormatFloat(f, 'g', digits, 64), ".", decimal, 1)
}

// Sentence returns a text that begins with a capital letter, as a headline and a text of its own do.
func Sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
