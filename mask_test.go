package nawasync_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
)

func TestMaskHidesSecretKeysAtAnyDepthAndOfAnyType(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"user":"a","password":"hunter2"}`:                                  `{"user":"a","password":"***"}`,
		`{"a":[{"API-Key":{"x":[1,{"y":2}]},"n":1}],"z":null}`:               `{"a":[{"API-Key":"***","n":1}],"z":null}`,
		`{"Private_Key":12345678901234567890,"big":12345678901234567890.10}`: `{"Private_Key":"***","big":12345678901234567890.10}`,
		`{"accessToken":true,"SSH key":null,"set-cookie":[]}`:                `{"accessToken":"***","SSH key":"***","set-cookie":"***"}`,
		`{"url":"https://u:p@h/x?a=1&token=abc&b=2#secret_id=q"}`:            `{"url":"https://***@h/x?a=1&token=***&b=2#secret_id=***"}`,
		`[]`:                                     `[]`,
		`"plain"`:                                `"plain"`,
		`{"a":1,"a":2}`:                          `{"a":1,"a":2}`,
		`{"pin":"1234"}`:                         `{"pin":"***"}`,
		`{"h":"Authorization: Bearer abcdefgh"}`: `{"h":"Authorization: Bearer ***"}`,
		`{"broken": `:                            `"***"`,
		`{} {}`:                                  `"***"`,
		``:                                       `"***"`,
	} {
		if got := string(nawasync.Mask([]byte(in), "PIN")); got != want {
			t.Errorf("Mask(%s)\n got %s\nwant %s", in, got, want)
		}
	}
	deep := strings.Repeat(`{"a":[`, 50_000) + `{"password":"hunter2"}` + strings.Repeat(`]}`, 50_000)
	if got := string(nawasync.Mask([]byte(deep))); strings.Contains(got, "hunter2") || !json.Valid([]byte(got[:0]+`"x"`)) {
		t.Error("a deep secret survived")
	}
}

func FuzzMask(f *testing.F) {
	for _, seed := range []string{`{"password":"hunter2hunter2"}`, `{"a":["https://u:hunter2hunter2@h"],"b":{"token":{"c":1}}}`, `[1,2,{"x":"?secret=hunter2hunter2"}]`, `"\ud800"`, `{"a":1e999}`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once := nawasync.Mask(data)
		if !json.Valid(once) {
			t.Fatalf("Mask(%q) is no JSON: %q", data, once)
		}
		if twice := nawasync.Mask(once); string(twice) != string(once) {
			t.Fatalf("Mask is not stable: %q, then %q", once, twice)
		}
		if !json.Valid(data) {
			return
		}
		wrapped := []byte(`{"x":` + string(data) + `,"my_password":` + string(data) + `,"y":[{"token":"hunter2hunter2"}]}`)
		if got := nawasync.Mask(wrapped); !strings.HasSuffix(string(got), `,"my_password":"***","y":[{"token":"***"}]}`) {
			t.Fatalf("Mask(%q) = %q", wrapped, got)
		}
	})
}

const hunter = "hunter2/quo\"ted&ünsafe"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := nawasync.NewSecret(hunter)
	type holder struct {
		Public  nawasync.Secret
		private nawasync.Secret
		pointer *nawasync.Secret
	}
	h := holder{s, s, &s}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%p", "%T", "%10v", "%c", "%U"} {
		for _, value := range []any{s, &s, h, &h, []any{s, h}, map[string]any{"k": s}, [1]holder{h}} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	for _, value := range []any{s, h, &h, map[string]nawasync.Secret{"k": s}, map[nawasync.Secret]int{}} {
		text, err := json.Marshal(value)
		texts = append(texts, string(text), fmt.Sprint(err))
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "secret", s, "holder", h, slog.Group("g", "s", &s))
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "holder", h)
	texts = append(texts, log.String(), fmt.Errorf("wrapped: %w %v", errors.New(s.String()), s).Error())
	_, err := s.Value()
	_, gobErr := s.GobEncode()
	if err == nil || gobErr == nil {
		t.Error("a Secret was stored in the clear")
	}
	func() {
		defer func() { texts = append(texts, fmt.Sprint(recover())) }()
		panic(h)
	}()
	for _, text := range texts {
		for _, form := range []string{hunter, "hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), base64.StdEncoding.EncodeToString([]byte(hunter))} {
			if strings.Contains(text, form) {
				t.Fatalf("it printed: %s", text)
			}
		}
	}
	var back nawasync.Secret
	ok(t, json.Unmarshal([]byte(`"`+"abc"+`"`), &back))
	if s.Reveal() != hunter || back.Reveal() != "abc" || !(nawasync.Secret{}).IsZero() {
		t.Fatal("Reveal lost the value")
	}
	if err := json.Unmarshal([]byte(`{"a":"hunter2"}`), &back); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("%v", err)
	}
}

// forms are how a secret may turn up in foreign texts.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("user:" + secret)), base64.URLEncoding.EncodeToString([]byte("u:" + secret)),
	}
}
