package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/fault"
)

// Merge returns a copy of a JSON object with other values for some of its fields, for an API whose update
// replaces the whole object: read the object, merge, and send the result. All other fields stay as the
// server sent them, also those that the client does not know; numbers keep their digits. The keys of changes
// are names of fields, or, for fields of inner objects, paths such as "/attributes/phone" (RFC 6901). An
// inner object that is missing or null is created. A nil value is sent as null.
func Merge(document json.RawMessage, changes map[string]any) (json.RawMessage, error) {
	merged := document
	for name, value := range changes {
		path := []string{name}
		if rest, ok := strings.CutPrefix(name, "/"); ok {
			path = strings.Split(rest, "/")
		}
		var err error
		if merged, err = mergeAt(merged, path, value); err != nil {
			return nil, fault.WithClass(fault.ClassPermanent, fmt.Errorf("merge the field %s: %w", name, err))
		}
	}
	return merged, nil
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

func mergeAt(document json.RawMessage, path []string, value any) (json.RawMessage, error) {
	if len(path) == 0 {
		return json.Marshal(value)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(document, &object); err != nil {
		return nil, errors.New("what contains it is not a JSON object")
	}
	if object == nil {
		object = map[string]json.RawMessage{}
	}
	name := unescapePointer.Replace(path[0])
	inner := object[name]
	if inner == nil {
		inner = json.RawMessage("null")
	}
	inner, err := mergeAt(inner, path[1:], value)
	if err != nil {
		return nil, err
	}
	object[name] = inner
	return json.Marshal(object)
}
