package language

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The test needs no list of languages: a new catalogue is checked as well.
func TestEveryCatalogueHasEveryTextWithTheSameValuesAndNoOther(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(texts) < 600 {
		t.Fatalf("messages.txt has only %d texts", len(texts))
	}
	found := 0
	for _, l := range embedded() {
		if l.tag == english {
			continue
		}
		found++
		for _, problem := range problems(texts, l.texts) {
			t.Errorf("messages_%s.txt: %s", l.tag, problem)
		}
	}
	if found == 0 {
		t.Error("no catalogue is embedded")
	}
}

func TestProblemsOfACatalogueAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Job %d\n\n%s of %s\n%s dari %s":                      `no translation of "Job %d"; write it below, and run “make generate” for new texts`,
		"Job %d\nPekerjaan %s\n\n%s of %s\n%s dari %s":        `the values of "Pekerjaan %s" are not those of "Job %d"`,
		"Job %d\nPekerjaan\n\n%s of %s\n%s dari %s":           `the values of "Pekerjaan" are not those of "Job %d"`,
		"Job %d\nPekerjaan %d.\n\n%s of %s\n%s dari %s":       `"Pekerjaan %d." does not end like "Job %d"`,
		"Job %d\nPekerjaan %d \n\n%s of %s\n%s dari %s":       `"Pekerjaan %d " begins or ends with a space`,
		"Job %d\nPekerjaan %d\n\n%s of %s\n%[2]s di %[1]s":    "",
		"Job %d\nPekerjaan %d\n\n%s of %s\n%s dari %s\n\nJob": `"Job" is no text of the pages; run “make generate”`,
	} {
		got := problems([]string{"Job %d", "%s of %s"}, parse(text))
		if strings.Join(got, "\n") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// problems returns what is wrong with the translations of texts.
func problems(texts []string, translations map[string]string) (list []string) {
	for _, text := range texts {
		translation := translations[text]
		switch {
		case translation == "":
			list = append(list, "no translation of "+strconv.Quote(text)+"; write it below, and run “make generate” for new texts")
		case translation != strings.TrimSpace(translation):
			list = append(list, strconv.Quote(translation)+" begins or ends with a space")
		case !maps.Equal(valuesOf(translation), valuesOf(text)):
			list = append(list, "the values of "+strconv.Quote(translation)+" are not those of "+strconv.Quote(text))
		case ending(translation) != ending(text):
			list = append(list, strconv.Quote(translation)+" does not end like "+strconv.Quote(text))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(translations)) {
		if !slices.Contains(texts, text) {
			list = append(list, strconv.Quote(text)+" is no text of the pages; run “make generate”")
		}
	}
	return list
}

// valuesOf returns the verbs of a format by the number of the value that they format.
func valuesOf(format string) map[int]string {
	verbs, next := map[int]string{}, 1
	for _, verb := range regexp.MustCompile(`%(?:\[(\d+)\])?([a-zA-Z%])`).FindAllStringSubmatch(format, -1) {
		if verb[2] == "%" {
			continue
		}
		if number, err := strconv.Atoi(verb[1]); err == nil {
			next = number
		}
		verbs[next] += verb[2]
		next++
	}
	return verbs
}

// ending returns the punctuation mark at the end of a text.
func ending(text string) string {
	for _, mark := range []string{".", ":", "…", "?"} {
		if strings.HasSuffix(text, mark) {
			return mark
		}
	}
	return ""
}
