package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

// worstTexts are texts that make a search for secrets by their form read as much as it can.
func worstTexts() map[string]string {
	return map[string]string{
		"quotes":        `"`,
		"keys":          `":"`,
		"escaped keys":  `\":\"`,
		"objects":       `{"a":[`,
		"open objects":  `{"token":{`,
		"members":       `"password": "x", `,
		"escaped":       `{\"a\":\"{\\\"token\\\":\\\"x\\\"}\"}`,
		"headers":       `Authorization: `,
		"prose headers": `Authorization: not allowed `,
		"pairs":         `password=`,
		"harmless":      `a=1&b=2&`,
		"sentences":     `token: `,
		"named":         `"name":"cookie",`,
		"values":        `"value":"x","name":"cookie",`,
		"open values":   `"value":{"name":"token","x":`,
		"array pairs":   `["token","x"],`,
		"array headers": `"X-Api-Key",`,
		"paths":         `x://a/hooks/`,
		"slashes":       `/`,
		"pem":           `-----BEGIN PRIVATE KEY-----`,
		"certificates":  `-----BEGIN CERTIFICATE-----`,
		"urls":          `x://a:`,
		"users":         `x://a:b@c`,
		"dsn":           `a:b@c(`,
		"curl":          ` -u a`,
		"bearer":        `bearer `,
		"colons":        `: `,
		"backslashes":   `\`,
		"words":         `the quick brown fox jumps over the lazy dog `,
	}
}

// BenchmarkMask1MiB masks a string of 1 MiB in a document.
func BenchmarkMask1MiB(b *testing.B) {
	for name, text := range worstTexts() {
		encoded, err := json.Marshal(text)
		check(b, err)
		document, err := json.Marshal([]string{strings.Repeat(text, 1<<20/(len(encoded)-2))})
		check(b, err)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				secret.Mask(document)
			}
		})
	}
	document := []byte("[" + strings.Repeat(`{"user":"ann","quota":5,"note":"a line of text"},`, 1<<20/49) + "0]")
	b.Run("document", func(b *testing.B) {
		for b.Loop() {
			secret.Mask(document)
		}
	})
}

// manySecrets returns n secrets of 20 bytes.
func manySecrets(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("secret-%013d", i*7919)
	}
	return list
}

// BenchmarkRedact16MiB clips an error of 16 MiB to 8 KiB.
func BenchmarkRedact16MiB(b *testing.B) {
	const limit = 8 << 10
	for _, n := range []int{1, 50_000} {
		redactor := secret.NewRedactor([]byte(`{}`), []byte(`{}`), manySecrets(n), nil)
		one := manySecrets(2)[1]
		for name, text := range map[string]string{
			"words": "the quick brown fox jumps over the lazy dog ", "plain": one + " ", "percent": url.QueryEscape(strings.Repeat("%", 20)+one) + " ",
			"base64": base64.StdEncoding.EncodeToString([]byte(one)), "hex": fmt.Sprintf("%x", one), "list": list(one),
			"escapes":  `\x01%41&amp;`,
			"prefixes": "secret-000000000000", "twice": base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(one)))),
		} {
			text = strings.Repeat(text, 16<<20/len(text))
			b.Run(fmt.Sprintf("secrets=%d/%s", n, name), func(b *testing.B) {
				for b.Loop() {
					redactor.Clip(text, limit)
				}
			})
		}
	}
}

// BenchmarkNewRedactor makes the redactor of a job with as many secrets as its arguments can hold.
func BenchmarkNewRedactor(b *testing.B) {
	for _, n := range []int{1, 50_000} {
		secrets := manySecrets(n)
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				secret.NewRedactor([]byte(`{}`), []byte(`{}`), secrets, nil)
			}
		})
	}
}

// BenchmarkRedactJSON redacts a result of 64 KiB.
func BenchmarkRedactJSON(b *testing.B) {
	document := []byte("[" + strings.Repeat(`{"user":"ann","quota":5,"note":"a line of text"},`, 64<<10/49) + "0]")
	redactor := secret.NewRedactor([]byte(`{}`), []byte(`{}`), manySecrets(1), nil)
	for b.Loop() {
		redactor.JSON(document)
	}
}
