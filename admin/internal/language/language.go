// Package language has the languages of the pages, and finds the one of a reader.
package language

import (
	"fmt"
	"maps"
	"strings"
)

// Language is a language of the pages. A nil Language is English. It is safe for concurrent use.
type Language struct {
	tag   string            // a BCP 47 tag such as "id"
	texts map[string]string // by the English text
}

// Tag returns the language's BCP 47 tag.
func (l *Language) Tag() string {
	if l == nil {
		return english
	}
	return l.tag
}

// Name returns the language's name in that language, or its tag if the catalogue does not have the name.
func (l *Language) Name() string {
	if name := l.T("English"); name != "English" || base(l.Tag()) == english {
		return name
	}
	return l.Tag()
}

// T returns the translation of a text, or the text itself if the catalogue does not have it.
func (l *Language) T(text string) string {
	if l == nil {
		return text
	}
	if translated := l.texts[text]; translated != "" {
		return translated
	}
	return text
}

// Tf is T for a format string.
func (l *Language) Tf(format string, args ...any) string { return fmt.Sprintf(l.T(format), args...) }

// english is the tag of the language that the texts are written in.
const english = "en"

// base returns the first part of a tag, which names the language without its region or script.
func base(tag string) string {
	first, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if first == "in" { // the former code of Indonesian, which old browsers send
		return "id"
	}
	return first
}

// Set has the languages that a reader can choose from.
type Set struct {
	list []*Language // the first one is the default
}

// NewSet returns the languages with a catalogue, and the application's own one, which is the default. The
// messages take the place of that language's texts.
func NewSet(own string, messages map[string]string) *Set {
	first := &Language{own, map[string]string{}}
	s := &Set{list: []*Language{first}}
	for _, l := range embedded() {
		if base(l.tag) == base(own) {
			maps.Copy(first.texts, l.texts)
		} else {
			s.list = append(s.list, l)
		}
	}
	maps.Copy(first.texts, messages)
	return s
}

// All returns the languages, the default first.
func (s *Set) All() []*Language { return s.list }

// Choose returns the language with the tag that the reader has chosen. If the tag is "" or unknown, it returns the
// first of the languages that an Accept-Language header asks for, or the default.
func (s *Set) Choose(tag, acceptLanguage string) *Language {
	if s == nil {
		return nil
	}
	for _, l := range s.list {
		if l.tag == tag {
			return l
		}
	}
	for _, tag := range accepted(acceptLanguage) {
		if l := s.match(tag); l != nil {
			return l
		}
	}
	return s.list[0]
}

// match returns the language with the tag, or otherwise the first one with the same base.
func (s *Set) match(tag string) *Language {
	for _, l := range s.list {
		if strings.EqualFold(l.tag, tag) {
			return l
		}
	}
	for _, l := range s.list {
		if base(l.tag) == base(tag) {
			return l
		}
	}
	return nil
}
