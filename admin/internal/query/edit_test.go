package query_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin/internal/query"
)

func TestInputsHoldSeveralValuesAndSpaces(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                     nil,
		" , ,":                 nil,
		"a":                    {"a"},
		" a b , c ":            {"a b", "c"},
		`"a,b",c`:              {"a,b", "c"},
		`"a\"b\\" , ">3"`:      {`a"b\`, ">3"},
		`"open, c`:             {`"open`, "c"},
		`"a" b`:                {`"a" b`},
		`5" disk`:              {`5" disk`},
		`2026-05-01..,"x" "y"`: {"2026-05-01..", `"x" "y"`},
	} {
		if got := query.ParseInput(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestErrorNamesTheWrongPartOfTheQuery(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][3]string{
		"status:failed servise:whm x":  {"status:failed ", "servise:whm", " x"},
		"größe\tsince:\"1 day\" by:me": {"größe ", `since:"1 day"`, " by:me"},
		`a error:"open b`:              {`a error:`, `"open b`, ""},
		"status: failed":               {"status:", "", " failed"},
		"status:failed,":               {"status:failed,", "", ""},
		"id:1,x\nby:me":                {"", "id:1,x", " by:me"},
	} {
		_, err := query.Parse(line, time.UTC)
		wrong, ok := errors.AsType[*query.Error](err)
		if !ok {
			t.Fatalf("%q: %v", line, err)
		}
		before, middle, after := wrong.Parts()
		if got := [3]string{before, middle, after}; got != want || wrong.Column() != len([]rune(before))+1 || len([]rune(wrong.Caret())) != wrong.Column() {
			t.Errorf("%q: %q at character %d, want %q", line, got, wrong.Column(), want)
		}
	}
}

func FuzzParts(f *testing.F) {
	for _, line := range []string{"", "a:", `"`, "-", "\xff x:y", "status:failed,  z", "é:é since:,"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if _, err := query.Parse(line, time.UTC); err != nil {
			wrong, _ := errors.AsType[*query.Error](err)
			before, middle, after := wrong.Parts()
			if got := len(before) + len(middle) + len(after); got != len(wrong.Line) {
				t.Fatalf("%q: the parts %q %q %q are not the query", line, before, middle, after)
			}
		}
		for _, value := range query.ParseInput(line) {
			if again := query.ParseInput(query.Quote(value, false)); len(again) != 1 || again[0] != value {
				t.Fatalf("%q: the value %q is read as %q", line, value, again)
			}
		}
	})
}
