package secret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

// masked returns a text as Mask leaves it within a document.
func masked(t *testing.T, text string) string {
	t.Helper()
	document, err := json.Marshal(text)
	check(t, err)
	var out string
	check(t, json.Unmarshal(secret.Mask(document), &out))
	return out
}

func TestCredentialsAreRecognisedByTheirFormInText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"GET /json-api HTTP/1.1\r\nAuthorization: whm root:S3CR3T\r\nAccept: */*":     "GET /json-api HTTP/1.1\r\nAuthorization: whm ***\r\nAccept: */*",
		"Proxy-Authorization: NTLM S3CR3T\r\nX: y":                                    "Proxy-Authorization: NTLM ***\r\nX: y",
		"Authorization: Unknown S3CR3T":                                               "Authorization: ***",
		"Authorization: OAuth S3CR3T":                                                 "Authorization: OAuth ***",
		"authorization: S3CR3T with words":                                            "authorization: ***",
		"Cookie: session=S3CR3T; other=S3CR3T":                                        "Cookie: ***",
		"Set-Cookie: cpsession=S3CR3T; Path=/":                                        "Set-Cookie: ***",
		"X-Auth-Key: S3CR3T\nX-Api-Key: S3CR3T":                                       "X-Auth-Key: ***\nX-Api-Key: ***",
		"map[Authorization:[whm root:S3CR3T]]":                                        "map[Authorization:[whm ***",
		"got {'token': 'S3CR3T', 'n': 1}":                                             "got {'token': ***, 'n': 1}",
		"connect with password: S3CR3T failed":                                        "connect with password: *** failed",
		"user=ann password=S3CR3T host=db":                                            "user=ann password=*** host=db",
		"user=ann password='S3CR3T and more' host=db":                                 "user=ann password=*** host=db",
		"options a=1,password=S3CR3T,b":                                               "options a=1,password=***",
		"open nawasync:S3CR3T@tcp(127.0.0.1:3306)/app":                                "open nawasync:***@tcp(127.0.0.1:3306)/app",
		"dial postgres://app:S3CR3T@db/app":                                           "dial postgres://***@db/app",
		`the server said {"status":0,"api_token":"S3CR3T"} twice`:                     `the server said {"status":0,"api_token":"***"} twice`,
		`sent {"token":{"value":"S3CR3T"},"n":1} to it`:                               `sent {"token":"***","n":1} to it`,
		`open password="S3CR3T token=S3CR3T" now`:                                     `open password=*** now`,
		`cut off {"user":"a","password":"S3CR3T`:                                      `cut off {"user":"a","password":"***"`,
		`quoted "{\"pwd\":\"S3CR3T\",\"n\":1}" once`:                                  `quoted "{\"pwd\":\"***\",\"n\":1}" once`,
		`headers [{"name":"X-Auth-Key","value":"S3CR3T"}]`:                            `headers [{"name":"X-Auth-Key","value":"***"}]`,
		`cut {"name":"Authorization","value":"S3CR3T`:                                 `cut {"name":"Authorization","value":"***"`,
		"run curl -u root:S3CR3T https://h":                                           "run curl -u root:*** https://h",
		"run curl --user 'root:S3CR3T' https://h":                                     "run curl --user 'root:***' https://h",
		"key -----BEGIN RSA PRIVATE KEY-----\nS3CR3T\n-----END RSA PRIVATE KEY-----.": "key -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----.",
		"key -----BEGIN PRIVATE KEY-----\nS3CR3T":                                     "key -----BEGIN PRIVATE KEY-----***",
		// These are no secrets.
		"invalid token: unexpected end of file":     "invalid token: unexpected end of file",
		`Post "https://h/oauth/token": EOF`:         `Post "https://h/oauth/token": EOF`,
		"authorization: not allowed for this zone":  "authorization: not allowed for this zone",
		"https://h:2087/x?to=a@example.org":         "https://h:2087/x?to=a@example.org",
		"quota=5 plan=gold mail: info@example.org":  "quota=5 plan=gold mail: info@example.org",
		"password policy: 8 characters":             "password policy: 8 characters",
		"access_token_lifespan: 300":                "access_token_lifespan: 300",
		`{"name":"plan","value":"gold"}`:            `{"name":"plan","value":"gold"}`,
		"at 12:30:01 the job a:b@example.org ended": "at 12:30:01 the job a:b@example.org ended",
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

func TestKeysOfSecretsAreKnownInEverySpelling(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"passphrase": true, "pwd": true, "user_pwd": true, "userPwd": true, "pin": true, "card.pin": true, "otp": true, "psk": true, "wifi-psk": true,
		"auth_key":   true,
		"access.key": true, "AWS_ACCESS_KEY_ID": true, "jwt": true, "idJWT": true, "kata_sandi": true, "KataSandi": true, "API.Key": true, "db.password": true,
		"access_token": true, "refreshToken": true, "secret_id": true, "token": true, "password_hash": true,
		"access_token_lifespan": false, "accessTokenLifespan": false, "password_policy": false, "token_type": false, "token_endpoint": false, "otp_required": false,
		"password_changed_at": false, "shipping": false, "spin": false, "pinned": false, "forwarded": false, "topology": false, "opinion": false, "name": false,
	} {
		document, err := json.Marshal(map[string]string{key: "hunter2"})
		check(t, err)
		if got := !strings.Contains(string(secret.Mask(document)), "hunter2"); got != want {
			t.Errorf("the value of %q is masked: %v, want %v", key, got, want)
		}
	}
	if got := string(secret.Mask([]byte(`{"token_type":"x"}`), "token_type")); got != `{"token_type":"***"}` {
		t.Errorf("an extra key is not masked: %s", got)
	}
}

func TestHeadersAsNamesAndValuesAreMasked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"headers":[{"name":"Authorization","value":"x"},{"name":"Accept","value":"y"}]}`: `{"headers":[{"name":"Authorization","value":"***"},{"name":"Accept","value":"y"}]}`,
		`{"key":"api_key","note":"n","value":{"a":"x"}}`:                                   `{"key":"api_key","note":"n","value":"***"}`,
		`[{"Name":"X-Auth-Key","Value":"x"}]`:                                              `[{"Name":"X-Auth-Key","Value":"***"}]`,
		`{"name":"password_policy","value":"x"}`:                                           `{"name":"password_policy","value":"x"}`,
	} {
		if got := string(secret.Mask([]byte(in))); got != want {
			t.Errorf("Mask(%s)\n got %s\nwant %s", in, got, want)
		}
	}
}
