package secret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestPairsAreMaskedInEveryOrderAndForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"Value":"S3CR3T","Name":"Authorization"}`:                                `{"Value":"***","Name":"Authorization"}`,
		`[{"value":{"a":["S3CR3T",7]},"note":"n","key":"api_key"},{"value":"x"}]`:  `[{"value":"***","note":"n","key":"api_key"},{"value":"x"}]`,
		`{"value":{"value":"S3CR3T","name":"token"},"x":1,"name":"cookie"}`:        `{"value":"***","x":1,"name":"cookie"}`,
		`{"value":{"value":"S3CR3T","name":"token"},"x":1,"name":"plan"}`:          `{"value":{"value":"***","name":"token"},"x":1,"name":"plan"}`,
		`{"values":["S3CR3T"],"header":"X-Auth-Key"}`:                              `{"values":"***","header":"X-Auth-Key"}`,
		`{"v":"S3CR3T","k":"DB_PASSWORD"}`:                                         `{"v":"***","k":"DB_PASSWORD"}`,
		`[["Authorization","whm root:S3CR3T"],["X-Api-Key","S3CR3T"],["A","b"]]`:   `[["Authorization","***"],["X-Api-Key","***"],["A","b"]]`,
		`[["password",12345678],["token",["S3CR3T"]],["quota",5]]`:                 `[["password","***"],["token","***"],["quota",5]]`,
		`{"headers":["Authorization","whm root:S3CR3T"]}`:                          `{"headers":["Authorization","***"]}`,
		`{"rawHeaders":["Host","h","Authorization","whm root:S3CR3T","A","b"]}`:    `{"rawHeaders":["Host","h","Authorization","***","A","b"]}`,
		`["X-Api-Key","S3CR3T"]`:                                                   `["X-Api-Key","***"]`,
		`["mysql","--password","S3CR3T","--user","ann"]`:                           `["mysql","--password","***","--user","ann"]`,
		`["mysql","--token",12345678,"db"]`:                                        `["mysql","--token","***","db"]`,
		`{"text":"[[\"Authorization\",\"S3CR3T\"]]"}`:                              `{"text":"[[\"Authorization\",\"***\"]]"}`,
		`{"allowed_headers":["Content-Type","Authorization","Accept"]}`:            `{"allowed_headers":["Content-Type","Authorization","Accept"]}`,
		`{"allowed_headers":["Authorization","Accept"],"b":["X-Api-Key","X-Foo"]}`: `{"allowed_headers":["Authorization","Accept"],"b":["X-Api-Key","X-Foo"]}`,
		`{"changed":["password","email"],"value":"x","name":"password_policy"}`:    `{"changed":["password","email"],"value":"x","name":"password_policy"}`,
		`["mysql","--token","--verbose","db"]`:                                     `["mysql","--token","--verbose","db"]`,
		`[["token","a","b"],["plan","gold"]]`:                                      `[["token","a","b"],["plan","gold"]]`,
	} {
		got := string(secret.Mask([]byte(in)))
		if got != want {
			t.Errorf("Mask(%s)\n got %s\nwant %s", in, got, want)
		}
		if again := string(secret.Mask([]byte(got))); again != got {
			t.Errorf("%s becomes %s when it is masked again", got, again)
		}
	}
}

func TestASecretOfAPairIsRedactedElsewhere(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{
		`{"a":[{"value":"plain-value-1","name":"Authorization"}]}`, `{"a":[["Authorization","plain-value-1"]]}`, `{"a":["--token","plain-value-1"]}`,
		`{"a":{"value":{"b":["plain-value-1"]},"name":"token"}}`,
	} {
		redactor := secret.NewRedactor([]byte(arguments), secret.Mask([]byte(arguments)), nil, nil)
		if got := redactor.Text("refused plain-value-1"); got != "refused ***" {
			t.Errorf("with %s: %q", arguments, got)
		}
	}
}

func TestPairsInJSONWithinATextAreMasked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`sent {"Value":"S3CR3T","Name":"Authorization"} to it`:                         `sent {"Value":"***","Name":"Authorization"} to it`,
		`sent "{\"value\":\"S3CR3T\",\"x\":1,\"name\":\"api_key\"}" twice`:             `sent "{\"value\":\"***\",\"x\":1,\"name\":\"api_key\"}" twice`,
		`sent {"value":{"a":"S3CR3T"},"name":"token"} now`:                             `sent {"value":"***","name":"token"} now`,
		`sent {"value":12345678,"name":"token"} now`:                                   `sent {"value":"***","name":"token"} now`,
		`sent [["Authorization","whm root:S3CR3T"],["X-Api-Key", "S3CR3T"]] to it`:     `sent [["Authorization","***"],["X-Api-Key", "***"]] to it`,
		`sent "[[\"Authorization\",\"whm root:S3CR3T\"]]" to it`:                       `sent "[[\"Authorization\",\"***\"]]" to it`,
		`sent [["password","S3CR3T"],["token","S3CR3T"],["a","b"]]`:                    `sent [["password","***"],["token","***"],["a","b"]]`,
		`sent ["Host","h","Authorization","whm root:S3CR3T","A","b"]`:                  `sent ["Host","h","Authorization","***","A","b"]`,
		`sent [('Authorization', 'whm root:S3CR3T'), ('A', 'b')]`:                      `sent [('Authorization', '***'), ('A', 'b')]`,
		`cut [["Authorization","whm root:S3CR3T`:                                       `cut [["Authorization","***"`,
		`run ["mysql","--password","S3CR3T","--user","ann"]`:                           `run ["mysql","--password","***","--user","ann"]`,
		`sent {"value":"x"} and {"name":"token"} apart`:                                `sent {"value":"x"} and {"name":"token"} apart`,
		`sent {"value":"x","name":"plan"}, {"changed":["password","email"]} to it`:     `sent {"value":"x","name":"plan"}, {"changed":["password","email"]} to it`,
		`allowed ["Content-Type","Authorization","Accept"] and "token", "password", x`: `allowed ["Content-Type","Authorization","Accept"] and "token", "password", x`,
	} {
		got := masked(t, in)
		if strings.Contains(got, "S3CR3T") || got != want {
			t.Errorf("%q\n     became %q,\nwant        %q", in, got, want)
		}
		if again := masked(t, got); again != got {
			t.Errorf("%q becomes %q when it is masked again", got, again)
		}
	}
}

// TestManyNestedPairsAreMaskedInTime would take minutes if each level were copied.
func TestManyNestedPairsAreMaskedInTime(t *testing.T) {
	t.Parallel()
	const depth = 4000
	for _, document := range []string{
		strings.Repeat(`{"value":`, depth) + `"S3CR3T"` + strings.Repeat(`,"x":"`+strings.Repeat("y", 200)+`","name":"token"}`, depth),
		strings.Repeat(`[["token",`, depth) + `"S3CR3T"` + strings.Repeat(`]]`, depth),
	} {
		if got := secret.Mask([]byte(document)); strings.Contains(string(got), "S3CR3T") || !json.Valid(got) {
			t.Errorf("%.200s", got)
		}
	}
}
