package nawasync

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
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
			return fmt.Errorf("%w: Kind's %s %q may hold letters, digits, \"_\", \".\" and \"-\" only", ErrInvalid, part.name, part.value)
		}
	}
	return nil
}

func validateTarget(t Target) error {
	return errors.Join(validateText("Target.Instance", t.Instance, 0, 64), validateText("Target.ID", t.ID, 1, 255))
}

// validateText keeps out what one of the databases would refuse or take for
// something else: MySQL ignores trailing spaces when it compares.
func validateText(name, value string, least, most int) error {
	switch {
	case len(value) < least:
		return fmt.Errorf("%w: %s is empty", ErrInvalid, name)
	case len(value) > most:
		return fmt.Errorf("%w: %s has %d bytes, over the limit of %d", ErrInvalid, name, len(value), most)
	case !utf8.ValidString(value):
		return fmt.Errorf("%w: %s is not valid UTF-8", ErrInvalid, name)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("%w: %s contains a NUL", ErrInvalid, name)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("%w: %s begins or ends with a space", ErrInvalid, name)
	}
	return nil
}

// validateJSON finds what encoding/json has quietly replaced. It writes the
// escape \ufffd for a byte that is not UTF-8, and a real U+FFFD as itself.
func validateJSON(data []byte) error {
	if !utf8.Valid(data) { // a MarshalJSON of the host's own may write anything
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
			return errors.New("contain a NUL")
		}
		i++ // what is escaped is no escape itself
	}
	return nil
}

// lockHint names DispatchTx where SQLite's lock says that its caller holds it.
func (e *Engine) lockHint(err error) error {
	if e.config.DB.Name() != "sqlite" || errors.Is(err, ErrDatabaseBusy) {
		return err
	}
	if text := err.Error(); strings.Contains(text, "locked") || strings.Contains(text, "SQLITE_BUSY") {
		return fmt.Errorf("%w (%w)", ErrDatabaseBusy, err)
	}
	return err
}
