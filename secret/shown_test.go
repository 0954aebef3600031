package secret_test

import (
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestAKeyToShowConcernsTheDocumentAndNoDocumentWithin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"token_name":"a","x":{"Token-Name":{"from":"b","to":"c"}}}`: `{"token_name":"a","x":{"Token-Name":{"from":"b","to":"c"}}}`,
		`{"token_name":{"token_name":"b","n":1}}`:                     `{"token_name":{"token_name":"***","n":1}}`,
		`{"doc":{"token_name":"b","y":[{"token_name":"c"}]}}`:         `{"doc":{"token_name":"***","y":[{"token_name":"***"}]}}`,
		`{"changes":{"doc":{"from":{"token_name":"b"}}}}`:             `{"changes":{"doc":{"from":{"token_name":"***"}}}}`,
		`{"x":"{\"token_name\":\"b\"}","y":"failed: token_name=b"}`:   `{"x":"{\"token_name\":\"***\"}","y":"failed: token_name=***"}`,
		`{"other_token_name":"b","doc":1,"token_name":5}`:             `{"other_token_name":"***","doc":1,"token_name":5}`,
	} {
		if got := string(secret.Mask([]byte(in), "!token_name", "/doc")); got != want {
			t.Errorf("Mask(%s)\n got %s\nwant %s", in, got, want)
		}
	}
	redactor := secret.NewRedactor(nil, nil, nil, []string{"!token_name", "/doc"})
	if got := string(redactor.JSON([]byte(`{"token_name":"a","doc":{"token_name":"b"}}`))); got != `{"token_name":"a","doc":{"token_name":"***"}}` {
		t.Errorf("JSON became %s", got)
	}
	if got := redactor.Text("refused, token_name=b"); got != "refused, token_name=***" {
		t.Errorf("the text became %q", got)
	}
}
