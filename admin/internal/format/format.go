// Package format formats numbers, durations and percentages for the pages.
package format

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Span formats a duration in its largest unit. A negative duration counts as zero.
func Span(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Millisecond:
		return "0\u00a0ms"
	case d < time.Second:
		return fmt.Sprintf("%d\u00a0ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "\u00a0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d\u00a0s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d\u00a0min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d\u00a0h", int(d.Hours()))
	}
	return fmt.Sprintf("%d\u00a0d", int(d.Hours()/24))
}

// Thousands formats a number that is not negative, with commas between groups of three digits.
func Thousands[N ~int | ~int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Percent formats part/of as a percentage. It rounds down, so that only a complete share is 100 %.
// It returns "–" if of is 0.
func Percent(part, of int64) string {
	if of == 0 {
		return "–"
	}
	share := 100 * float64(part) / float64(of)
	if share > 0 && (share < 10 || share > 99) && part != of {
		return fmt.Sprintf("%.1f %%", math.Floor(share*10)/10)
	}
	return fmt.Sprintf("%d %%", int(share))
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

// Decimal formats a number with at most two digits after the point.
func Decimal(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
