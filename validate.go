package nawasync

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/nawasara/nawasync/tracker"
)

func (o Options) validate() error {
	if err := validateText("Options.By", o.By, 0, 255); err != nil {
		return err
	}
	if err := validateText("Options.Source", string(o.Source), 0, 20); err != nil {
		return err
	}
	if o.Delay < 0 {
		return fmt.Errorf("%w: Options.Delay is negative (%s)", ErrInvalid, o.Delay)
	}
	if o.Delay > 0 && !o.At.IsZero() {
		return fmt.Errorf("%w: give Options.Delay or Options.At, not both", ErrInvalid)
	}
	return nil
}

var kindNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func validateKind(k Kind) error {
	for _, part := range []struct{ name, value string }{{"service", k.Service}, {"type", k.Type}, {"action", k.Action}} {
		if err := validateText("Kind's "+part.name, part.value, 1, 50); err != nil {
			return err
		}
		if !kindNamePattern.MatchString(part.value) {
			return fmt.Errorf("%w: Kind's %s %q must begin with a letter or digit and contain only letters, digits, \"_\", \".\" and \"-\"", ErrInvalid, part.name, part.value)
		}
	}
	return nil
}

func validateTarget(t Target) error {
	return errors.Join(validateText("Target.Instance", t.Instance, 0, tracker.MaxInstance), validateText("Target.ID", t.ID, 1, tracker.MaxTargetID))
}

func validateQueue(name string) error {
	if err := validateText("queue", name, 1, 50); err != nil {
		return err
	}
	if strings.HasPrefix(name, tracker.AsynqQueue) {
		return fmt.Errorf("%w: a queue's name must not begin with %q, which marks tracked tasks: %q", ErrInvalid, tracker.AsynqQueue, name)
	}
	if strings.ContainsAny(name, "{}") {
		return fmt.Errorf("%w: a queue's name must not contain braces: %q", ErrInvalid, name)
	}
	return nil
}

// validateText rejects text that one of the databases does not store, or compares differently.
// For example, MySQL ignores trailing spaces when it compares. The lengths are in bytes.
func validateText(name, value string, minLength, maxLength int) error {
	switch {
	case len(value) < minLength:
		return fmt.Errorf("%w: %s is empty", ErrInvalid, name)
	case len(value) > maxLength:
		return fmt.Errorf("%w: %s has %d bytes, over the limit of %d", ErrInvalid, name, len(value), maxLength)
	case !utf8.ValidString(value):
		return fmt.Errorf("%w: %s is not valid UTF-8", ErrInvalid, name)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("%w: %s contains a NUL byte", ErrInvalid, name)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("%w: %s begins or ends with a space", ErrInvalid, name)
	}
	return nil
}

// validateJSON rejects JSON whose text the databases do not store unchanged. encoding/json
// replaces each byte that is not UTF-8 with the escape \ufffd, but writes a real U+FFFD
// unescaped. So the escape reveals a replaced byte.
func validateJSON(data []byte) error {
	if !utf8.Valid(data) { // the host's MarshalJSON may write invalid UTF-8
		return errors.New("contain text that is not valid UTF-8")
	}
	for i := 0; i+5 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		switch string(data[i : i+6]) {
		case `\ufffd`:
			return errors.New("contain text that is not valid UTF-8")
		case `\u0000`:
			return errors.New("contain a NUL character")
		}
		i++ // skip the escaped character, which may be a backslash
	}
	return nil
}

// lockHint turns SQLite's error of a locked database into ErrDatabaseBusy. Its text points to
// DispatchTx, because the caller probably holds the lock in its own transaction.
func (e *Engine) lockHint(err error) error {
	if e.config.DB.Name() != "sqlite" || errors.Is(err, ErrDatabaseBusy) {
		return err
	}
	if text := err.Error(); strings.Contains(text, "locked") || strings.Contains(text, "SQLITE_BUSY") {
		return fmt.Errorf("%w (%w)", ErrDatabaseBusy, err)
	}
	return err
}
