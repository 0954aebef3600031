package main

import "strings"

// catalogue is a file with the translations of a language: comments, and entries of an English text and its
// translation.
type catalogue struct {
	head         []string // the paragraphs of comments before the first entry
	comments     map[string]string
	translations map[string]string
}

// parse reads a catalogue. Empty lines separate its entries.
func parse(text string) catalogue {
	c := catalogue{comments: map[string]string{}, translations: map[string]string{}}
	for entry := range strings.SplitSeq(text, "\n\n") {
		var comments, lines []string
		for line := range strings.Lines(entry) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case line == "#" || strings.HasPrefix(line, "# "):
				comments = append(comments, line)
			case line != "":
				lines = append(lines, line)
			}
		}
		switch {
		case len(lines) == 0 && len(comments) > 0:
			c.head = append(c.head, strings.Join(comments, "\n"))
		case len(lines) > 0:
			c.translations[lines[0]] = strings.Join(lines[1:], " ")
			c.comments[lines[0]] = strings.Join(comments, "\n")
		}
	}
	return c
}

// format returns the text of the catalogue with an entry for each of the texts.
func (c catalogue) format(texts []string) string {
	var b strings.Builder
	for i, paragraph := range c.head {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(paragraph + "\n")
	}
	for _, text := range texts {
		b.WriteString("\n")
		if comment := c.comments[text]; comment != "" {
			b.WriteString(comment + "\n")
		}
		b.WriteString(text + "\n")
		if translation := c.translations[text]; translation != "" {
			b.WriteString(translation + "\n")
		}
	}
	return b.String()
}
