package remote_test

import (
	"encoding/json"
	"testing"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

func TestMergeChangesOnlyTheGivenFields(t *testing.T) {
	t.Parallel()
	const document = `{"id":12345678901234567890,"name":"ann","unknown":{"deep":[1.10,null]},"attributes":{"phone":["1"],"a/b":2}}`
	for want, changes := range map[string]map[string]any{
		`{"attributes":{"a/b":2,"phone":["1"]},"id":12345678901234567890,"name":"bob","unknown":{"deep":[1.10,null]}}`:       {"name": "bob", "/attributes/phone": []string{"1"}},
		`{"attributes":{"a/b":3,"phone":null},"id":12345678901234567890,"name":"ann","unknown":{"deep":[1.10,null]}}`:        {"/attributes/phone": nil, "/attributes/a~1b": 3},
		`{"attributes":null,"id":12345678901234567890,"name":"ann","new":{"in":{"it":true}},"unknown":{"deep":[1.10,null]}}`: {"attributes": nil, "/new/in/it": true},
		`{"id":12345678901234567890,"name":"ann","unknown":{"deep":[1.10,null]},"attributes":{"phone":["1"],"a/b":2}}`:       {},
	} {
		got, err := remote.Merge(json.RawMessage(document), changes)
		noError(t, err)
		if string(got) != want {
			t.Errorf("Merge with %v returned\n%s, want\n%s", changes, got, want)
		}
	}
}

func TestMergeRefusesWhatIsNotAnObject(t *testing.T) {
	t.Parallel()
	for document, name := range map[string]string{``: "a", `[1]`: "a", `{"a":1}`: "/a/b", `{"a":`: "b"} {
		if got, err := remote.Merge(json.RawMessage(document), map[string]any{name: 1}); fault.ClassOf(err) != fault.ClassPermanent {
			t.Errorf("Merge into %q returned %s and %v, want a permanent error", document, got, err)
		}
	}
	if got, err := remote.Merge(json.RawMessage(`null`), map[string]any{"a": 1}); err != nil || string(got) != `{"a":1}` {
		t.Errorf("Merge into null returned %s and %v", got, err)
	}
}
