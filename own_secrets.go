package nawasync

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/secret"
)

// minSecret is the least length of a value of Config.Secrets, in bytes. A shorter value would also be part of
// ordinary words.
const minSecret = 6

// ownSecretsOf returns the values of Config.Secrets. Its errors do not contain them.
func ownSecretsOf(list []Secret) ([]string, error) {
	var values []string
	for i, s := range list {
		value := strings.TrimSpace(s.Reveal()) // a file's last line ends with a line break
		switch {
		case value == "":
		case len(value) < minSecret:
			return nil, fmt.Errorf("the secret Config.Secrets[%d] has %d bytes and needs at least %d, because its value is removed wherever it occurs; use a longer credential, or leave it out",
				i, len(value), minSecret)
		case value == secret.Masked:
			return nil, fmt.Errorf("the secret Config.Secrets[%d] is %q, the text that replaces secrets; pass the credential itself", i, value)
		default:
			values = append(values, value)
		}
	}
	return values, nil
}

// newRedactor returns a redactor for a job's secrets and those of Config.Secrets. See secret.NewRedactor.
func (e *Engine) newRedactor(arguments, payload []byte, secrets, maskKeys []string) *secret.Redactor {
	return secret.NewRedactor(arguments, payload, slices.Concat(secrets, e.ownSecrets), maskKeys)
}

// redactingLogger returns a logger that removes the values of Config.Secrets, and what looks like a secret by
// its form, from what it writes to l.
func (e *Engine) redactingLogger(l *slog.Logger) *slog.Logger {
	return slog.New(redactingHandler{l.Handler(), e.redactor})
}

// redactingHandler removes known secrets from log records.
type redactingHandler struct {
	slog.Handler

	redactor *secret.Redactor
}

func (h redactingHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.redactor.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

func (h redactingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return redactingHandler{h.Handler.WithAttrs(clean), h.redactor}
}

func (h redactingHandler) WithGroup(name string) slog.Handler {
	return redactingHandler{h.Handler.WithGroup(name), h.redactor}
}

// attr returns an attribute without the secrets. A value keeps its type unless its text has one.
func (h redactingHandler) attr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		value = slog.StringValue(h.redactor.Text(value.String()))
	case slog.KindGroup:
		group := slices.Clone(value.Group())
		for i := range group {
			group[i] = h.attr(group[i])
		}
		value = slog.GroupValue(group...)
	case slog.KindAny:
		text := fmt.Sprintf("%+v", value.Any())
		if clean := h.redactor.Text(text); clean != text {
			value = slog.StringValue(clean)
		}
	default:
	}
	return slog.Attr{Key: a.Key, Value: value}
}
