package secret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestMaskHidesSecretKeysAtAnyDepthAndOfAnyType(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"user":"a","password":"hunter2"}`:                                  `{"user":"a","password":"***"}`,
		`{"a":[{"API-Key":{"x":[1,{"y":2}]},"n":1}],"z":null}`:               `{"a":[{"API-Key":"***","n":1}],"z":null}`,
		`{"Private_Key":12345678901234567890,"big":12345678901234567890.10}`: `{"Private_Key":"***","big":12345678901234567890.10}`,
		`{"accessToken":true,"SSH key":null,"set-cookie":[]}`:                `{"accessToken":"***","SSH key":"***","set-cookie":"***"}`,
		`{"url":"https://u:p@h/x?a=1&token=abc&b=2#secret_id=q"}`:            `{"url":"https://***@h/x?a=1&token=***&b=2#secret_id=***"}`,
		`{"url":"https://u:12345@h/x"}`:                                      `{"url":"https://***@h/x"}`,
		`{"url":"https://h:2087/x?to=a@example.org"}`:                        `{"url":"https://h:2087/x?to=a@example.org"}`,
		`[]`:                                     `[]`,
		`"plain"`:                                `"plain"`,
		`{"a":1,"a":2}`:                          `{"a":1,"a":2}`,
		`{"pin":"1234"}`:                         `{"pin":"***"}`,
		`{"h":"Authorization: Bearer abcdefgh"}`: `{"h":"Authorization: Bearer ***"}`,
		`{"broken": `:                            `"***"`,
		`{} {}`:                                  `"***"`,
		``:                                       `"***"`,
	} {
		if got := string(secret.Mask([]byte(in), "PIN")); got != want {
			t.Errorf("Mask(%s)\n got %s\nwant %s", in, got, want)
		}
	}
	deep := strings.Repeat(`{"a":[`, 50_000) + `{"password":"hunter2"}` + strings.Repeat(`]}`, 50_000)
	if got := string(secret.Mask([]byte(deep))); got != `"***"` {
		t.Errorf("a document that is nested too deeply became %.200s", got)
	}
	flatter := strings.Repeat(`{"a":[`, 1000) + `{"password":"hunter2"}` + strings.Repeat(`]}`, 1000)
	if got := secret.Mask([]byte(flatter)); strings.Contains(string(got), "hunter2") || !json.Valid(got) {
		t.Errorf("a nested secret was not masked, or the document is not valid JSON: %.200s", got)
	}
}

func FuzzMask(f *testing.F) {
	for _, seed := range []string{
		`{"password":"hunter2hunter2"}`, `{"a":["https://u:hunter2hunter2@h"],"b":{"token":{"c":1}}}`,
		`[1,2,{"x":"?secret=hunter2hunter2"}]`, `"\ud800"`, `{"a":1e999}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once := secret.Mask(data)
		if !json.Valid(once) {
			t.Fatalf("Mask(%q) is not valid JSON: %q", data, once)
		}
		if twice := secret.Mask(once); string(twice) != string(once) {
			t.Fatalf("Mask is not idempotent: %q, then %q", once, twice)
		}
		if !json.Valid(data) {
			return
		}
		wrapped := []byte(`{"x":` + string(data) + `,"my_password":` + string(data) + `,"y":[{"token":"hunter2hunter2"}]}`)
		if got := secret.Mask(wrapped); !strings.HasSuffix(string(got), `,"my_password":"***","y":[{"token":"***"}]}`) {
			t.Fatalf("Mask(%q) = %q", wrapped, got)
		}
	})
}
