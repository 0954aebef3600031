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
