package admin

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// formulaSigns begin a formula in Excel, LibreOffice or Google Sheets.
const formulaSigns = "=+-@＝＋－＠\t\r"

// FuzzCell writes a cell and reads the file as spreadsheets do, with each separator that they guess. No cell
// may begin with a formula, and with the right separator the text is kept.
func FuzzCell(f *testing.F) {
	for _, cell := range []string{
		"", "=1+1", "-5", " =1", "a;=cmd|' /C calc'!A0", "a\t=x", "a\n=x", "a\r\n@x", `a";=x`, `a"",=x`, `";=x`, "＝1", "a;＋1", "a, =x", "\ufeff=1", "\u00a0=1",
		"quota is full", "2026-01-01T00:00:00Z", "'=1", "a;;=x", "a; \t;-1", "\x00=1", "\x86", "\v=1", "\f=1",
	} {
		f.Add(cell, "next")
	}
	f.Fuzz(func(t *testing.T, cell, next string) {
		var file strings.Builder
		out := csv.NewWriter(&file)
		if err := out.Write([]string{"7", escapeFormula(cell), escapeFormula(next)}); err != nil {
			t.Skip() // the writer refuses it
		}
		out.Flush()
		for _, separator := range []rune{',', ';', '\t'} {
			for _, quotes := range []bool{true, false} {
				if separator == ',' && !quotes {
					continue // who reads the file as the comma-separated file that it is heeds quotes
				}
				for _, got := range cellsOf(file.String(), separator, quotes) {
					if beginning := strings.TrimLeft(got, " "); beginning != "" && strings.ContainsRune(formulaSigns, []rune(beginning)[0]) {
						t.Fatalf("cells %q and %q are written as %q; with the separator %q a spreadsheet reads the formula %q", cell, next, file.String(), separator, got)
					}
				}
			}
		}
		in := csv.NewReader(strings.NewReader(file.String()))
		record, err := in.Read()
		if err != nil || len(record) != 3 {
			t.Fatalf("%q is read as %q, %v", file.String(), record, err)
		}
		if plain := !strings.ContainsAny(cell, "\r"); plain && strings.ReplaceAll(record[1], "'", "") != strings.ReplaceAll(string([]rune(cell)), "'", "") {
			t.Fatalf("cell %q is read as %q", cell, record[1])
		}
	})
}

// cellsOf splits a file into cells as a spreadsheet does: lines end at line ends, and cells at the separator,
// both outside of quotes only if the spreadsheet heeds quotes.
func cellsOf(file string, separator rune, heedQuotes bool) []string {
	var cells []string
	var cell strings.Builder
	quoted, begins := false, true
	end := func() {
		cells = append(cells, cell.String())
		cell.Reset()
		begins = true
	}
	runes := []rune(file)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case heedQuotes && r == '"' && quoted && i+1 < len(runes) && runes[i+1] == '"':
			cell.WriteRune('"')
			i++
		case heedQuotes && r == '"' && (quoted || begins):
			quoted, begins = !quoted, false
		case !quoted && (r == separator || r == '\n' || r == '\r'):
			end()
		default:
			cell.WriteRune(r)
			begins = false
		}
	}
	end()
	return slices.DeleteFunc(cells, func(c string) bool { return c == "" })
}
