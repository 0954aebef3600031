package secret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func TestKeysAreReadWordByWord(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"OTPCode": true, "PINCode": true, "userPIN": true, "JWTValue": true, "PINs": true, "OTPs": true, "pincode": true, "otpcode": true, "Passcode": true,
		"dbpwd": true, "DBPwd": true, "dbpass": true, "db_pass": true, "DB_PASS": true, "smtpPass": true, "cardpin": true,
		"smsotp": true, "totp": true, "wpapsk": true,
		"otp1": true, "pin2": true, "pin_2": true, "PIN2Code": true, "pass1": true, "dbpwd2": true, "password2": true,
		"user[pin]": true, "user[password]": true, "user[otp1]": true, "users[0][pin]": true, "user[api][key]": true,
		"settings/pin": true, "$otp": true, "pin:": true,
		"access_token_lifespan": false, "password_policy": false, "otp_policy": false, "OTPPolicy": false, "password_policy_2": false, "user[password_policy]": false,
		"pinned": false, "pinning": false, "opinion": false, "spin": false, "hairpin": false, "compass": false, "encompass": false, "bypass": false, "passive": false,
		"passport_country": false, "pass_rate": false, "psk_type": false, "passed": false, "topology": false, "laptop": false, "photo/kenya.jpg": false,
	} {
		document, err := json.Marshal(map[string]string{key: "hunter2"})
		check(t, err)
		if got := !strings.Contains(string(secret.Mask(document)), "hunter2"); got != want {
			t.Errorf("the value of %q is masked: %v, want %v", key, got, want)
		}
	}
}

func TestValuesInSentencesAndBracketsAreMasked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"login failed (password: swordfish for user ann)":   "login failed (password: *** for user ann)",
		"login failed [token: swordfish was refused]":       "login failed [token: *** was refused]",
		"login failed; password: swordfish for user ann":    "login failed; password: *** for user ann",
		"map[password:swordfish user:ann]":                  "map[password:*** user:ann]",
		"map[name:x password:swordfish user:ann]":           "map[name:x password:*** user:ann]",
		"{Host:x Password:swordfish User:ann}":              "{Host:x Password:*** User:ann}",
		"password: swordfish user: ann":                     "password: *** user: ann",
		"(authorization: swordfish for user ann)":           "(authorization: ***",
		"user[pin]: 1234":                                   "user[pin]: ***",
		"POST user[pin]=1234&user[name]=ann":                "POST user[pin]=***&user[name]=ann",
		"POST user%5Bpin%5D=1234&user%5Bname%5D=ann":        "POST user%5Bpin%5D=***&user%5Bname%5D=ann",
		"login failed (password: invalid for user ann)":     "login failed (password: invalid for user ann)",
		"invalid token: unexpected end of file":             "invalid token: unexpected end of file",
		"authorization: not allowed for this zone":          "authorization: not allowed for this zone",
		"token: access denied":                              "token: access denied",
		"user[name]=ann and a list [a b]: no value of pins": "user[name]=ann and a list [a b]: no value of pins",
	} {
		if got := masked(t, in); got != want {
			t.Errorf("%q\n     became %q,\nwant        %q", in, got, want)
		}
	}
}
