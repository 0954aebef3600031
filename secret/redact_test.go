package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestRedactorRemovesASecretInEveryEncodingAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	const value = "p4ss\"w&rd-unique"
	type args struct {
		Password secret.Secret `json:"password"`
		Note     string        `json:"note"`
	}
	var revealer secret.Revealer
	plain, secrets, err := revealer.Reveal(args{secret.New(value), "harmless"})
	check(t, err)
	redactor := secret.NewRedactor(plain, secret.Mask(plain), secrets, nil)
	quoted, _ := json.Marshal(value)
	for _, form := range []string{
		value, url.QueryEscape(value), url.PathEscape(value), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte("user:" + value)),
	} {
		if got := redactor.Text("before " + form + " after, harmless"); strings.Contains(got, form) || !strings.HasPrefix(got, "before ") ||
			!strings.HasSuffix(got, " after, harmless") {
			t.Errorf("%q became %q", form, got)
		}
	}
	if got := string(redactor.JSON([]byte(`{"echo":` + string(quoted) + `,"n":5}`))); got != `{"echo":"***","n":5}` {
		t.Errorf("JSON became %s", got)
	}
}

func TestRevealMarshalsSecretsAndMayHoldReportsTypesThatCanHaveOne(t *testing.T) {
	t.Parallel()
	type inner struct{ S *secret.Secret }
	type open struct{ V any }
	var revealer secret.Revealer
	s := secret.New("hunter22")
	plain, secrets, err := revealer.Reveal(map[string]any{"a": inner{&s}})
	check(t, err)
	if string(plain) != `{"a":{"S":"hunter22"}}` || len(secrets) != 1 || secrets[0] != "hunter22" {
		t.Errorf("revealed %s with the secrets %q", plain, secrets)
	}
	for _, c := range []struct {
		value             any
		contains, mayHold bool
	}{{inner{}, true, true}, {open{}, false, true}, {5, false, false}, {[]secret.Secret{}, true, true}} {
		typ := reflect.TypeOf(c.value)
		if secret.Contains(typ) != c.contains || revealer.MayHold(typ) != c.mayHold {
			t.Errorf("%T: Contains is %t, MayHold is %t", c.value, secret.Contains(typ), revealer.MayHold(typ))
		}
	}
	if _, _, err := revealer.Reveal(struct{ hidden secret.Secret }{s}); err == nil || !strings.Contains(err.Error(), "export it") {
		t.Errorf("reveal a Secret in an unexported field: %v", err)
	}
}

func TestShortSecretsAreFoundOnlyAsWholeWords(t *testing.T) {
	t.Parallel()
	redactor := redactorOf("abc", "12345", "#x!", "de", "")
	for in, want := range map[string]string{
		"abc at the start, and abc":       "*** at the start, and ***",
		"abcd, xabc, abc_d and äabc":      "abcd, xabc, abc_d and äabc",
		"pin 12345, but 123456 and 12345": "pin ***, but 123456 and ***",
		"a#x!b":                           "a***b",
		"de is too short":                 "de is too short",
		`one\nabc\ttwo`:                   `one\n***\ttwo`,
		"user=abc&x=%61bc":                "user=***&x=***",
		"YWJj 616263 [97 98 99]":          "YWJj 616263 [97 98 99]",
	} {
		if got := redactor.Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := string(redactor.JSON([]byte(`{"n":12345,"m":123456,"a":true}`))); got != `{"n":"***","m":123456,"a":true}` {
		t.Errorf("JSON became %s", got)
	}
}

func TestShortValuesOfSecretKeysAreFoundIfTheyHaveADigit(t *testing.T) {
	t.Parallel()
	args := []byte(`{"credentials":{"pin":1234,"port":443,"user":"root","code":"12ab"}}`)
	got := secret.NewRedactor(args, secret.Mask(args), nil, nil).Text("1234 443 root 12ab")
	if want := "*** 443 root ***"; got != want {
		t.Errorf("text became %q, want %q", got, want)
	}
}

func TestSecretsInBytesAndKeysOfJSONAreRemoved(t *testing.T) {
	t.Parallel()
	const value = "hunter2hunter2"
	redactor := redactorOf(value)
	document, err := json.Marshal(map[string]any{
		"bytes": []byte("user:" + value), value: 1, "numbers": []int{104, 117, 110, 116, 101, 114, 50, 104, 117, 110, 116, 101, 114, 50},
		"text": `{"a":["` + value + `",1]}`, "other": "kept",
	})
	check(t, err)
	got := string(redactor.JSON(document))
	if strings.Contains(got, value) || strings.Contains(got, "104,117") || strings.Contains(got, base64.StdEncoding.EncodeToString([]byte("user:" + value))[8:20]) {
		t.Errorf("a secret is left in %s", got)
	}
	// A []byte is a secret itself.
	args, err := json.Marshal(map[string]any{"password": []byte(value)})
	check(t, err)
	if got := secret.NewRedactor(args, secret.Mask(args), nil, nil).Text("it is " + value); got != "it is ***" {
		t.Errorf("text became %q", got)
	}
}

func TestAJobOfTooManySecretsHasAllItsTextsMasked(t *testing.T) {
	t.Parallel()
	many := redactorOf(manySecrets(50_000)...)
	last := manySecrets(50_000)[49_999]
	if got := many.Text("one is " + last + ", the other is not"); got != "one is ***, the other is not" {
		t.Errorf("text became %q", got)
	}
	all := redactorOf(strings.Repeat("x", 3<<20))
	for in, want := range map[string]string{"anything": "***", "": ""} {
		if got := all.Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := string(all.JSON([]byte(`{"a":"anything"}`))); got != `"***"` {
		t.Errorf("JSON became %s", got)
	}
}

func TestClipLeavesNoPartOfASecretAtTheCut(t *testing.T) {
	t.Parallel()
	const value = "hunter2-hunter3"
	redactor := redactorOf(value)
	for _, e := range encodings() {
		planted := e.encode("user:" + value)
		for at := range 60 {
			text := strings.Repeat(".", at) + " " + planted + strings.Repeat(" and more", 1000)
			got := redactor.Clip(text, 60)
			if len(got) > 60 || !strings.HasSuffix(got, "… (cut)") {
				t.Fatalf("Clip returned %d bytes: %q", len(got), got)
			}
			got = strings.TrimSuffix(got, "… (cut)")
			whole := redactor.Text(text)
			if got != whole[:len(got)] {
				t.Errorf("%s at %d: clipped to %q, want the beginning of %q", e.name, at, got, whole[:60])
			}
		}
	}
	if got := redactor.Clip("short "+value, 60); got != "short ***" {
		t.Errorf("a short text became %q", got)
	}
	if got := redactor.Clip(strings.Repeat(value+" ", 100), 1000); got != strings.TrimSpace(strings.Repeat("*** ", 100))+" " {
		t.Errorf("a text that fits after redacting became %q", got)
	}
	long := strings.Repeat("x", 50) + " https://ann:" + strings.Repeat("S", 5000) + "@host" + strings.Repeat(" x", 9000)
	if got := redactor.Clip(long, 100); strings.Contains(got, "SS") {
		t.Errorf("the password of a URL became %q", got)
	}
}

func TestTheBeginningOfASecretIsRemovedWhereOthersCutATextOff(t *testing.T) {
	t.Parallel()
	redactor := redactorOf("hunter2-hunter3")
	for in, want := range map[string]string{
		"the server said: hunter2-hun… (cut), so":        "the server said: ***… (cut), so",
		`"hunter2-hun… (cut)… (truncated, 900 bytes)"`:   `"***… (cut)… (truncated, 900 bytes)"`,
		"the server said: hunt...":                       "the server said: ***...",
		`{"note":"hunter2\u002dhunt\u2026"}`:             `{"note":"***…"}`,
		`{"note":"hunter2\\u00… (cut)"}`:                 `{"note":"***… (cut)"}`,
		"dXNlcjpodW50ZXIyLWh1… or 757365723a68756e74...": "dXNlcj***… or 757365723a***...",
		"%68un%74er…": "***…",
		"the hunter is not at a cut, hun... either": "the hunter is not at a cut, hun... either",
	} {
		if got := redactor.Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
