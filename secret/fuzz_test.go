package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nawasara/nawasync/secret"
)

// The naive reference decodes a whole text with the standard library, one encoding after the other.
var (
	naivePercent = regexp.MustCompile(`(?:%[0-9a-fA-F]{2})+`)
	naiveEscape  = regexp.MustCompile(`(?:\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|[abfnrtv\\"]))+`)
	naiveHex     = regexp.MustCompile(`[0-9a-fA-F]{8,}`)
	naiveBase64  = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)
	naiveList    = regexp.MustCompile(`[0-9]{1,3}(?:[ ,]{1,2}[0-9]{1,3})+`)
	naiveBreak   = regexp.MustCompile(`[\r\n]+[ \t]*`)
)

func naiveDecoders() []func(string) []string {
	each := func(pattern *regexp.Regexp, decode func(string) (string, error)) func(string) []string {
		return func(s string) []string {
			return []string{pattern.ReplaceAllStringFunc(s, func(match string) string {
				if plain, err := decode(match); err == nil {
					return plain
				}
				return match
			})}
		}
	}
	runs := func(pattern *regexp.Regexp, group int, decode func(string) string) func(string) []string {
		return func(s string) (list []string) {
			for _, run := range pattern.FindAllString(naiveBreak.ReplaceAllString(s, ""), -1) {
				for shift := range group {
					list = append(list, decode(run[shift:]))
				}
			}
			return list
		}
	}
	return []func(string) []string{
		each(naivePercent, url.PathUnescape), each(naivePercent, func(s string) (string, error) { return url.QueryUnescape(strings.ToUpper(s)) }),
		each(naiveEscape, func(s string) (string, error) { return strconv.Unquote(`"` + s + `"`) }),
		func(s string) []string {
			return []string{html.UnescapeString(s), strings.ReplaceAll(s, "\x00", ""), strings.ReplaceAll(s, "+", " ")}
		},
		runs(naiveHex, 2, func(run string) string {
			plain, _ := hex.DecodeString(run[:len(run)/2*2])
			return string(plain)
		}),
		runs(naiveBase64, 4, func(run string) string {
			run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
			if len(run)%4 == 1 {
				run = run[:len(run)-1]
			}
			plain, _ := base64.RawStdEncoding.DecodeString(run)
			return string(plain)
		}),
		func(s string) (list []string) {
			for _, match := range naiveList.FindAllString(s, -1) {
				var plain []byte
				for _, digits := range strings.FieldsFunc(match, func(r rune) bool { return r == ' ' || r == ',' }) {
					n, _ := strconv.ParseUint(digits, 10, 8)
					plain = append(plain, byte(n))
				}
				list = append(list, string(plain))
			}
			return list
		},
	}
}

// naiveFinds reports whether a text has a secret in at most the given number of encodings.
func naiveFinds(text, value string, layers int) bool {
	if strings.Contains(text, value) {
		return true
	}
	if layers == 0 {
		return false
	}
	for _, decode := range naiveDecoders() {
		for _, plain := range decode(text) {
			if plain != text && naiveFinds(plain, value, layers-1) {
				return true
			}
		}
	}
	return false
}

func FuzzRedact(f *testing.F) {
	for _, value := range []string{"hunter2hunter2", "p4ss\"w&rd uniq+ue", "%41\\u0042&amp;C", "pässwörd", "AAAAAAAA", "a.b.c.d.e"} {
		for i := range encodings() {
			f.Add(value, "user:", ";", "before ", " after", uint8(i), uint8(i*7), uint16(20+i))
			f.Add(value, "", "", "x", "y", uint8(i*3), uint8(i), uint16(60))
		}
	}
	f.Add("%00\"00", "0", "0", "0", "0", uint8(11), uint8(23), uint16(7)) // zero bytes, then escapes
	f.Add("AAAAAAAA", "use\x00\x00\x00\x00\x00\x00\x00\x00r:", ";", "before ", " af-er", uint8('\r'), uint8('~'), uint16(38))
	f.Add("ä\x00 ö", "us:re", ";", "before ", " after", uint8('\n'), uint8('F'), uint16(30)) // little ASCII
	f.Fuzz(func(t *testing.T, value, before, after, head, tail string, first, second uint8, cut uint16) {
		if len(value) < 6 || len(value) > 200 || len(before)+len(after)+len(head)+len(tail) > 500 || !utf8.ValidString(value) {
			t.Skip()
		}
		if strings.Trim(value, " *+\x00") == "" || strings.Contains(value, "***") {
			t.Skip("the mask itself could be a part of the secret")
		}
		one, two := encodings()[int(first)%len(encodings())], encodings()[int(second)%len(encodings())]
		text := head + " " + two.encode(one.encode(before+value+after)) + " " + tail
		redactor := redactorOf(value)
		for _, got := range []string{redactor.Text(text), redactor.Clip(text, int(cut))} {
			if naiveFinds(got, value, 2) {
				t.Errorf("%s within %s: %q is left of %q in %q", one.name, two.name, value, text, got)
			}
		}
		checkJSON(t, redactor, text, before+value+after, value)
		// Without the secret, the text is as without the redactor.
		if plain := head + before + after + tail; !strings.Contains(value, "\x00") && !naiveFinds(plain, value[:4], 3) && strings.Trim(value, "%\\& ") == value {
			if got, want := redactor.Text(plain), redactorOf().Text(plain); got != want && !strings.Contains(plain, "...") && !strings.Contains(plain, "…") {
				t.Errorf("%q without %q became %q, want %q", plain, value, got, want)
			}
		}
	})
}

// checkJSON fails the test if the redactor leaves a secret in a string, a key or a []byte of a document.
func checkJSON(t *testing.T, redactor *secret.Redactor, text, binary, value string) {
	t.Helper()
	document, err := json.Marshal(map[string]any{"list": []any{text}, text: 1, "binary": []byte(binary)})
	check(t, err)
	var got any
	redacted := redactor.JSON(document)
	check(t, json.Unmarshal(redacted, &got))
	members, _ := got.(map[string]any)
	for key, member := range members {
		if naiveFinds(key, value, 2) || naiveFinds(fmt.Sprint(member), value, 2) {
			t.Errorf("%q is left of %s in %s", value, document, redacted)
		}
	}
}

func FuzzMaskText(f *testing.F) {
	const value = "hunter2hunter2"
	forms := []string{
		"password=" + value, "password: " + value, "X-Api-Key: " + value, "Authorization: whm root:" + value, "Cookie: a=" + value,
		"https://ann:" + value + "@host/x", "ann:" + value + "@tcp(host)/x", "curl -u ann:" + value + " x", `{"token":"` + value + `"}`,
		`{\"token\":\"` + value + `\"}`, `{"name":"cookie","value":"` + value + `"}`, `{"secrets":["x",{"y":"` + value + `"}]}`,
		"-----BEGIN PRIVATE KEY-----\n" + value + "\n-----END PRIVATE KEY-----", "Bearer " + value,
		`{"value":"` + value + `","name":"cookie"}`, `[["token","` + value + `"]]`, `["X-Api-Key","` + value + `"]`, "user[pin]=" + value,
		"(password: " + value + " for user ann)", "https://hooks.slack.com/services/T00/B00/" + value, "/bot1234567:" + value + "/getMe",
	}
	for i := range forms {
		f.Add("before", " after", uint8(i))
		f.Add(`{"token":{"a":"`, `"}]`, uint8(i))
		f.Add(`password="`, `'`, uint8(i))
		f.Add("\x00https://a:b", "@c", uint8(i))
	}
	f.Add("token:", "", uint8(3))       // the header is not the token
	f.Add(`"token":`, "", uint8(1))     // nor is the key on the next line
	f.Add(`"token":`, "}", uint8('\'')) // nor is the one in brackets
	f.Add(`"token:"0":`, "0", uint8(0)) // what is left looks like a key
	f.Fuzz(func(t *testing.T, before, after string, form uint8) {
		if !utf8.ValidString(before + after) {
			t.Skip("JSON has no such text")
		}
		text := before + "\n" + forms[int(form)%len(forms)] + "\n" + after
		once := redactorOf().Text(text)
		if strings.Contains(once, value) && !strings.Contains(before+after, value) {
			t.Fatalf("%q became %q", text, once)
		}
		compact := func(s string) string { return strings.Join(strings.Fields(s), "") } // a masked document loses its spacing
		if twice := redactorOf().Text(once); compact(twice) != compact(once) {
			t.Fatalf("%q became %q, then %q", text, once, twice)
		}
	})
}
