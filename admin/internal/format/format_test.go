package format_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/language"
)

func TestNumbersDurationsAndSharesFollowTheLanguage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format func(l format.Language) string
		en, id string
	}{
		"a small number":     {func(l format.Language) string { return format.Thousands(l, 999) }, "999", "999"},
		"a large number":     {func(l format.Language) string { return format.Thousands(l, 1234567) }, "1,234,567", "1.234.567"},
		"milliseconds":       {func(l format.Language) string { return format.Span(l, 340*time.Millisecond) }, "340 ms", "340 ms"},
		"a negative time":    {func(l format.Language) string { return format.Span(l, -time.Hour) }, "0 ms", "0 ms"},
		"a whole second":     {func(l format.Language) string { return format.Span(l, 3*time.Second) }, "3 s", "3 detik"},
		"tenths of one":      {func(l format.Language) string { return format.Span(l, 1250*time.Millisecond) }, "1.2 s", "1,2 detik"},
		"seconds":            {func(l format.Language) string { return format.Span(l, 119*time.Second) }, "119 s", "119 detik"},
		"minutes":            {func(l format.Language) string { return format.Span(l, 6*time.Minute) }, "6 min", "6 menit"},
		"hours":              {func(l format.Language) string { return format.Span(l, 5*time.Hour) }, "5 h", "5 jam"},
		"days":               {func(l format.Language) string { return format.Span(l, 72*time.Hour) }, "3 d", "3 hari"},
		"a share":            {func(l format.Language) string { return format.Percent(l, 1, 3) }, "33 %", "33%"},
		"a small share":      {func(l format.Language) string { return format.Percent(l, 12, 1000) }, "1.2 %", "1,2%"},
		"almost all":         {func(l format.Language) string { return format.Percent(l, 9999, 10000) }, "99.9 %", "99,9%"},
		"all":                {func(l format.Language) string { return format.Percent(l, 7, 7) }, "100 %", "100%"},
		"a share of nothing": {func(l format.Language) string { return format.Percent(l, 0, 0) }, "–", "–"},
	} {
		for tag, want := range map[string]string{"en": c.en, "id": c.id} {
			text := c.format(language.Get(tag))
			if got := strings.ReplaceAll(text, "\u00a0", " "); got != want || strings.Contains(text, " ") {
				t.Errorf("%s in %s: got %q, want %q on one line", name, tag, text, want)
			}
		}
	}
}
