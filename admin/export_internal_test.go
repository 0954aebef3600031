package admin

import "testing"

func TestCellsAreEscapedWhereverASpreadsheetMayBeginOne(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"":                     "",
		"quota is full":        "quota is full",
		"a=b; c":               "a=b; c",
		"=1+1":                 "'=1+1",
		"-5":                   "'-5",
		" =1":                  " '=1",
		"a;=cmd":               "a;'=cmd",
		"a; =cmd;@x":           "a; '=cmd;'@x",
		"a\t=cmd":              "a\t'=cmd",
		"a\n+cmd":              "a\n'+cmd",
		"＝1":                   "'＝1",
		"a;＋1":                 "a;'＋1",
		"\t=1":                 "'\t'=1",
		`x;"=1+1`:              `x;"'=1+1`,
		"info@example.org;":    "info@example.org;",
		"2026-01-01T00:00:00Z": "2026-01-01T00:00:00Z",
	} {
		if got := escapeFormula(cell); got != want {
			t.Errorf("escapeFormula(%q) = %q, want %q", cell, got, want)
		}
	}
}
