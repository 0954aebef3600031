package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/tracker"
)

// parts returns the texts of fields.
func parts(row reflect.Value, fields []*field) []string {
	return appendParts(make([]string, 0, len(fields)), row, fields)
}

func appendParts(list []string, row reflect.Value, fields []*field) []string {
	for _, f := range fields {
		list = append(list, keyPart(f.value(row)))
	}
	return list
}

// hasKey reports whether a key field of the row is set. The key of an object that the remote
// identifies is empty until the object has been created.
func (m *model) hasKey(row reflect.Value) bool {
	for _, f := range m.key {
		if !f.value(row).IsZero() {
			return true
		}
	}
	return false
}

// keyIdentity returns the identity of the row of an object that has a key. Two objects of a scope
// are the same if and only if the texts of their keys are equal byte by byte.
func (m *model) keyIdentity(row reflect.Value) tracker.Identity {
	var scope, key [4]string // without an allocation
	return tracker.Identity(jobrow.KeyIdentity(appendParts(scope[:0], row, m.scope), appendParts(key[:0], row, m.key)))
}

// nameIdentity returns the identity of a row whose object has no key yet.
func (m *model) nameIdentity(row reflect.Value) tracker.Identity {
	return tracker.Identity(jobrow.NameIdentity(parts(row, m.scope), parts(row, m.natural)))
}

// wantedIdentity returns the identity of the row of an object that is to be created.
func (m *model) wantedIdentity(row reflect.Value) tracker.Identity {
	if m.hasKey(row) || len(m.natural) == 0 {
		return m.keyIdentity(row)
	}
	return m.nameIdentity(row)
}

// sameKey reports whether two values have the same key. Their scopes are not compared.
func (m *model) sameKey(a, b reflect.Value) bool {
	for _, f := range m.key {
		if keyPart(f.value(a)) != keyPart(f.value(b)) {
			return false
		}
	}
	return true
}

// instance returns Target.Instance of a row's jobs.
func (m *model) instance(row reflect.Value) string { return joinParts(parts(row, m.scope)) }

// target returns Target.ID of a row's jobs: the key or, while the key is empty, the natural
// fields.
func (m *model) target(row reflect.Value) string {
	if m.hasKey(row) || len(m.natural) == 0 {
		return targetText(row, m.key)
	}
	return targetText(row, m.natural)
}

// targetText returns the values of fields as the text of a target. A text that is too long for a
// target ends with a hash instead.
func targetText(row reflect.Value, fields []*field) string {
	text := joinParts(parts(row, fields))
	if len(text) <= tracker.MaxTargetID {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	end := tracker.MaxTargetID - 34
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…" + hex.EncodeToString(sum[:15])
}

// joinParts joins texts so that different lists have different texts: it escapes percent signs and
// slashes. A single text is only escaped if it contains a percent sign, or begins or ends with a
// space, which targets do not allow.
func joinParts(list []string) string {
	if len(list) == 1 {
		if text := list[0]; !strings.Contains(text, "%") && strings.TrimSpace(text) == text {
			return text
		}
	}
	escaped := make([]string, len(list))
	for i, text := range list {
		escaped[i] = escapePart(text, len(list) > 1)
	}
	return strings.Join(escaped, "/")
}

func escapePart(text string, slashes bool) string {
	start := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	end := len(strings.TrimRightFunc(text, unicode.IsSpace))
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c == '%' || (slashes && c == '/') || i < start || i >= end {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// splitParts is the inverse of joinParts for n texts.
func splitParts(text string, n int) ([]string, bool) {
	list := []string{text}
	if n != 1 {
		list = strings.Split(text, "/")
	}
	if len(list) != n {
		return nil, false
	}
	for i, part := range list {
		var out strings.Builder
		for j := 0; j < len(part); j++ {
			if c, err := hex.DecodeString(part[min(j+1, len(part)):min(j+3, len(part))]); part[j] == '%' {
				if err != nil || len(c) != 1 {
					return nil, false
				}
				out.WriteByte(c[0])
				j += 2
			} else {
				out.WriteByte(part[j])
			}
		}
		list[i] = out.String()
	}
	return list, true
}

// checkName refuses an object without a name.
func (m *model) checkName(row reflect.Value) error {
	if m.hasKey(row) {
		return nil
	}
	fields := m.key
	if len(m.natural) > 0 {
		fields = m.natural
	}
	var names []string
	for _, f := range fields {
		if keyPart(f.value(row)) != "" {
			return nil
		}
		names = append(names, f.Name)
	}
	return fmt.Errorf("%w: %s is empty", nawasync.ErrInvalid, strings.Join(names, ", "))
}

// checkScope refuses a scope of which only some fields are set.
func (m *model) checkScope(row reflect.Value) error {
	var empty, set []string
	for _, f := range m.scope {
		if keyPart(f.value(row)) == "" {
			empty = append(empty, f.Name)
		} else {
			set = append(set, f.Name)
		}
	}
	if len(empty) > 0 && len(set) > 0 {
		return fmt.Errorf("%w: the scope has %s, but not %s; set all fields of the scope", nawasync.ErrInvalid, strings.Join(set, ", "), strings.Join(empty, ", "))
	}
	return nil
}
