package language

import (
	"embed"
	"slices"
	"strings"
	"sync"
)

// The catalogues, one file for each language but English. An entry is the English text in one line and the
// translation in the next; an empty line ends it. Lines before an entry that begin with "# " are comments.
//
//go:embed messages_*.txt
var catalogues embed.FS

// embedded returns the languages with a catalogue, and English, in the order of their tags.
var embedded = sync.OnceValue(func() []*Language {
	list := []*Language{{english, map[string]string{}}}
	files, _ := catalogues.ReadDir(".") // a directory that is embedded can be read
	for _, file := range files {
		data, _ := catalogues.ReadFile(file.Name())
		tag := strings.TrimSuffix(strings.TrimPrefix(file.Name(), "messages_"), ".txt")
		list = append(list, &Language{tag, parse(string(data))})
	}
	slices.SortFunc(list, func(a, b *Language) int { return strings.Compare(a.tag, b.tag) })
	return list
})

// parse returns the translations of a catalogue by their English texts. The translation of an entry that has none
// is "".
func parse(catalogue string) map[string]string {
	texts := map[string]string{}
	for entry := range strings.SplitSeq(catalogue, "\n\n") {
		lines := slices.DeleteFunc(strings.Split(entry, "\n"), func(line string) bool {
			return line == "" || line == "#" || strings.HasPrefix(line, "# ")
		})
		switch len(lines) {
		case 0:
		case 1:
			texts[lines[0]] = ""
		default:
			texts[lines[0]] = lines[1]
		}
	}
	return texts
}

// Get returns the language with the tag or with the same base, or English if there is no catalogue for it.
func Get(tag string) *Language {
	if l := (&Set{list: embedded()}).match(tag); l != nil {
		return l
	}
	return nil
}
