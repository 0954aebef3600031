package secret_test

import (
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestStringsThatContainAShortSecretAreMaskedAsAWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ document, want string }{
		{`{"A":"u4711","B":["x",{"C":14711}],"D":"4710"}`, `{"A":"***","B":["x",{"C":"***"}],"D":"4710"}`},
		{`{"b":1,"a":"nothing"}`, `{"b":1,"a":"nothing"}`},
		{`{"k4711":true}`, `{"***":true}`},
		{`{"a":"***"}`, `{"a":"***"}`},
		{`not JSON`, `"***"`},
	} {
		if got := string(secret.MaskShort([]byte(c.document), []string{"4711", "1", "long enough"})); got != c.want {
			t.Errorf("MaskShort(%s) = %s, want %s", c.document, got, c.want)
		}
	}
	if got := string(secret.MaskShort([]byte(`not JSON`), []string{"1"})); got != "not JSON" {
		t.Errorf("without a short secret the document is %s", got)
	}
}
