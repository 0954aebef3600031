package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
)

// addMask adds the mask key of a field with the tag hidden or shown.
func (m *model) addMask(tag fieldTag, column, role string) error {
	switch {
	case tag.hidden && tag.shown:
		return errors.New("the field is both hidden and shown; use one of the two")
	case tag.hidden && role != roleContent && role != roleObserved:
		return fmt.Errorf("hidden is for content and observed fields; the field has the role %s", role)
	case tag.shown && (role == roleSecret || role == roleIgnored):
		return fmt.Errorf("shown is for stored fields; the field has the role %s", role)
	case tag.hidden:
		m.maskKeys = append(m.maskKeys, "="+column)
	case tag.shown:
		m.maskKeys = append(m.maskKeys, "!"+column)
	}
	return nil
}

// allMaskKeys returns the mask keys of the tags and the given ones. A key to show is that of a column: it does not
// count in the documents within columns, which may come from anywhere.
func (m *model) allMaskKeys(extra []string) []string {
	keys := append(slices.Clone(m.maskKeys), extra...)
	if !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "!") }) {
		return keys
	}
	for _, column := range sortedKeys(m.byColumn) {
		if m.byColumn[column].isDocument() {
			keys = append(keys, "/"+column)
		}
	}
	return keys
}

// isDocument reports whether the field's JSON may be an object or an array.
func (f *field) isDocument() bool {
	t := f.IndirectFieldType
	if f.role == roleSecret || t == reflect.TypeFor[time.Time]() {
		return false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Interface, reflect.Pointer:
		return true
	default:
		return t.Implements(reflect.TypeFor[json.Marshaler]())
	}
}

// hides reports whether the model has a hidden field.
func (m *model) hides() bool {
	for _, f := range m.byColumn {
		if f.hidden {
			return true
		}
	}
	return false
}

// readBackKeys are keys of results and conflicts that later jobs and answers read.
var readBackKeys = []string{
	"adjusted", "adopted", "also_changed", "answers", "base", "column", "created", "desired", "digest", "digests", "from", "remote", "to",
}

// checkMaskKeys refuses mask keys that would hide what later jobs read.
func (r *repo) checkMaskKeys() error {
	for _, key := range readBackKeys {
		document, _ := json.Marshal(map[string]int{key: 1}) // always marshals
		if string(nawasync.Mask(document, r.maskKeys...)) != string(document) {
			return r.configErrorf("MaskKeys or a hidden column hides %q, a key of results that later jobs read; rename the column, or use a longer key", key)
		}
	}
	return nil
}
