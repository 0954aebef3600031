package secret_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

// formatted marshals its Secret with fmt, which writes "***".
type formatted struct{ Token secret.Secret }

func (f formatted) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"token": f.Token.String()})
}

// revealed marshals the value of its Secret.
type revealed struct{ Token secret.Secret }

func (r revealed) MarshalText() ([]byte, error) { return []byte("bearer " + r.Token.Reveal()), nil }

// hidden marshals a Secret that no exported field shows.
type hidden struct{ inner any }

func (h hidden) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.inner}) }

type embedded struct{ Any any }

type linked struct {
	embedded

	Next *linked `json:",omitempty"`
}

type leftOut struct {
	Name  string
	Token secret.Secret `json:"-"`
}

func TestRevealFindsSecretsWhereverJSONHasThem(t *testing.T) {
	t.Parallel()
	s := secret.New
	for name, value := range map[string]any{
		"a field":                     struct{ A secret.Secret }{s("value-1")},
		"an embedded struct":          linked{embedded: embedded{s("value-1")}},
		"a pointer":                   &linked{Next: &linked{embedded: embedded{[]any{s("value-1")}}}},
		"a map's key":                 map[secret.Secret]int{s("value-1"): 1},
		"a map's value":               map[string]any{"a": map[int]any{1: s("value-1")}},
		"an array":                    [2]any{1, [1]secret.Secret{s("value-1")}},
		"a MarshalText":               []revealed{{s("value-1")}},
		"a key of a MarshalText":      map[string]any{"x": revealed{s("value-1")}},
		"the result of a MarshalJSON": hidden{revealed{s("value-1")}},
	} {
		var r secret.Revealer
		plain, secrets, err := r.Reveal(value)
		if err != nil || !slices.Equal(secrets, []string{"value-1"}) || !strings.Contains(string(plain), "value-1") {
			t.Errorf("%s: %s, %q, %v; want its value", name, plain, secrets, err)
		}
		if values := r.Values(value); !slices.Equal(values, secrets) {
			t.Errorf("%s: Values returned %q", name, values)
		}
	}
}

func TestRevealRefusesASecretThatTheJSONLacks(t *testing.T) {
	t.Parallel()
	s := secret.New("value-1")
	for name, test := range map[string]struct {
		value any
		path  string
	}{
		"a MarshalJSON that formats":             {formatted{s}, "secret_test.formatted.Token"},
		"the same deep within":                   {map[string]any{"a": []any{&formatted{s}}}, "map[string]interface {}[][].Token"},
		"a MarshalJSON with a Secret of its own": {hidden{s}, "secret_test.hidden.inner"},
		"a value that is not UTF-8":              {struct{ Key secret.Secret }{secret.New("a\xffb-value-1")}, ".Key"},
		"one of two with the same value":         {[]any{formatted{s}, s, map[string]string{"value-1": "value-1"}}, "[].Token"},
		"one of two":                             {[]any{formatted{secret.New("value-2")}, s}, "[].Token"},
		"a field that another of its name covers": {struct {
			embedded
			Any secret.Secret
		}{embedded{secret.New("other-1")}, s}, ".embedded.Any"},
	} {
		plain, secrets, err := new(secret.Revealer).Reveal(test.value)
		if err == nil || !strings.Contains(err.Error(), test.path) || strings.Contains(err.Error(), "value-") || plain != nil || secrets != nil {
			t.Errorf("%s: %s, %q, %v; want an error that names %s", name, plain, secrets, err, test.path)
		}
	}
}

func TestASecretThatJSONLeavesOutIsKnownAllTheSame(t *testing.T) {
	t.Parallel()
	plain, secrets, err := new(secret.Revealer).Reveal(leftOut{"a", secret.New("value-1")})
	if err != nil || string(plain) != `{"Name":"a"}` || !slices.Equal(secrets, []string{"value-1"}) {
		t.Errorf("%s, %q, %v; want the field left out and its value known", plain, secrets, err)
	}
}

func TestRevealLooksThroughValuesThatReferToThemselvesAndManySecrets(t *testing.T) {
	t.Parallel()
	loop := map[string]any{"s": secret.New("value-1")}
	loop["loop"] = []any{loop, loop}
	if values := new(secret.Revealer).Values(loop); !slices.Equal(values, []string{"value-1"}) {
		t.Errorf("values %q", values)
	}
	many := map[string]revealed{}
	for i := range 20_000 {
		many[fmt.Sprint(i)] = revealed{secret.New(fmt.Sprintf("value-%d", i))}
	}
	if _, secrets, err := new(secret.Revealer).Reveal(many); err != nil || len(secrets) != len(many) {
		t.Errorf("%d values, %v", len(secrets), err)
	}
}

func TestExtraKeysCanBeWholeKeysAndKeysToShow(t *testing.T) {
	t.Parallel()
	document := `{"data":1,"metadata":2,"token_name":"a","token":"b","at":{"Data":[3]}}`
	got := secret.Mask([]byte(document), "=data", "!token_name")
	if want := `{"data":"***","metadata":2,"token_name":"a","token":"***","at":{"Data":"***"}}`; string(got) != want {
		t.Errorf("masked to %s, want %s", got, want)
	}
	got = secret.Mask([]byte(document), "data")
	if want := `{"data":"***","metadata":"***","token_name":"***","token":"***","at":{"Data":"***"}}`; string(got) != want {
		t.Errorf("masked to %s, want %s", got, want)
	}
}
