// Command words reports words that the project has replaced by a better term.
//
// It reads the sources and documents below -root and the catalogue of the pages' texts,
// and prints each place with the term to use. words.txt lists the words. Parts of names in camel
// case and snake case count as words, so a word is found in an identifier too.
package main

import (
	"bufio"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed words.txt
var list string

// replaced is a word that the project no longer uses, with the term to use instead.
type replaced struct {
	pattern *regexp.Regexp
	term    string
}

// checker holds the replaced words and the names that may contain one of them.
type checker struct {
	words   []replaced
	allowed []string
}

func main() {
	root := flag.String("root", ".", "folder of the repository")
	flag.Parse()
	check, err := parse(list)
	if err == nil {
		var found []string
		found, err = check.walk(os.DirFS(*root))
		for _, line := range found {
			fmt.Println(line)
		}
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%d replaced words; use the terms that stand beside them", len(found))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(1)
	}
}

func parse(text string) (*checker, error) {
	check := &checker{}
	for number, line := range strings.Split(text, "\n") {
		pattern, term, ok := strings.Cut(line, "\t")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "!"):
			check.allowed = append(check.allowed, strings.TrimPrefix(line, "!"))
			continue
		case !ok:
			return nil, fmt.Errorf("words.txt:%d: want a word, a tab and a term", number+1)
		}
		compiled, err := regexp.Compile(`(?i)\b(?:` + pattern + `)\b`)
		if err != nil {
			return nil, fmt.Errorf("words.txt:%d: %w", number+1, err)
		}
		check.words = append(check.words, replaced{compiled, term})
	}
	return check, nil
}

func (c *checker) walk(root fs.FS) (found []string, err error) {
	err = fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != "." && (name == "node_modules" || name == ".git" || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !reads(path) {
			return nil
		}
		file, err := root.Open(path)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for number := 1; lines.Scan(); number++ {
			for _, problem := range c.line(path, lines.Text()) {
				found = append(found, fmt.Sprintf("%s:%d: %s", path, number, problem))
			}
		}
		return errors.Join(lines.Err(), file.Close())
	})
	return found, err
}

// reads reports whether the command checks the file. Generated files only repeat the text of their
// sources.
func reads(path string) bool {
	if strings.HasSuffix(path, "_templ.go") || strings.HasPrefix(path, "tools/words/") {
		return false
	}
	switch filepath.Ext(path) {
	case ".go", ".templ", ".md", ".js", ".css", ".sql":
		return true
	}
	return filepath.Base(path) == "messages.txt"
}

var (
	codeSpan  = regexp.MustCompile("`[^`]*`")
	camelCase = regexp.MustCompile(`([\p{Ll}\d])(\p{Lu})`)
	acronym   = regexp.MustCompile(`(\p{Lu})(\p{Lu}\p{Ll})`) // the end of an acronym, or the word "A", before another word
)

// line returns the problems in one line of a file.
func (c *checker) line(path, text string) (problems []string) {
	if filepath.Base(path) == "CHANGELOG.md" { // the changelog names old identifiers in code spans
		text = codeSpan.ReplaceAllString(text, "")
	}
	for _, name := range c.allowed {
		text = strings.ReplaceAll(text, name, "")
	}
	text = acronym.ReplaceAllString(camelCase.ReplaceAllString(text, "$1 $2"), "$1 $2")
	text = strings.ReplaceAll(text, "_", " ")
	for _, word := range c.words {
		for _, match := range word.pattern.FindAllString(text, -1) {
			problems = append(problems, fmt.Sprintf("%q: use %q", match, word.term))
		}
	}
	return problems
}
