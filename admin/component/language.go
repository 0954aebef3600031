package component

import (
	"context"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/language"
)

type languageKey struct{}

// WithLanguage returns a context in which the components render their texts in the language with a BCP 47 tag such
// as "id". In other contexts, and for a language that the operators' pages do not have, the texts are in English.
func WithLanguage(ctx context.Context, tag string) context.Context {
	return context.WithValue(ctx, languageKey{}, language.Get(tag))
}

func languageOf(ctx context.Context) *language.Language {
	l, _ := ctx.Value(languageKey{}).(*language.Language)
	return l
}

// around returns the parts of a text before, between and after its two verbs, which stand for elements.
func around(text string) (before, between, after string) {
	before, rest, _ := strings.Cut(text, "%s")
	between, after, _ = strings.Cut(rest, "%s")
	return before, between, after
}
