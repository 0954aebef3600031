package enginetest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/secret"
)

// NewKey returns a random key for a Keyring.
func NewKey(t testing.TB) []byte {
	t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	NoError(t, err)
	return key
}

// Keyring returns a keyring with the keys. It seals with the first one.
func Keyring(t testing.TB, keys ...[]byte) *secret.Keyring {
	t.Helper()
	ring, err := secret.NewKeyring(keys...)
	NoError(t, err)
	return ring
}

// DumpDatabase returns the contents of all tables, of Redis and of the log as text.
func DumpDatabase(t *testing.T, h *Harness) string {
	t.Helper()
	var b strings.Builder
	tables, err := h.DB.Migrator().GetTables()
	NoError(t, err)
	if len(tables) < 9 {
		t.Fatalf("only the tables %v exist", tables)
	}
	for _, table := range tables {
		if table == migrations.Table {
			continue // goose's table
		}
		var rows []map[string]any
		NoError(t, h.DB.Raw("SELECT * FROM "+table).Scan(&rows).Error)
		for _, row := range rows {
			for _, value := range row {
				if raw, isBytes := value.([]byte); isBytes {
					value = string(raw)
				}
				fmt.Fprintln(&b, value)
			}
		}
	}
	if h.Mini != nil {
		b.WriteString(h.Mini.Dump())
	} else {
		keys, err := h.Redis.Keys(t.Context(), "*").Result()
		NoError(t, err)
		for _, key := range keys {
			fmt.Fprintln(&b, key, h.Redis.HGetAll(t.Context(), key).Val(), h.Redis.Get(t.Context(), key).Val(), h.Redis.LRange(t.Context(), key, 0, -1).Val())
		}
	}
	b.WriteString(h.Log.String())
	return b.String()
}

// SecretForms returns the encodings in which a secret may appear in a text.
func SecretForms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	nested, _ := json.Marshal(string(quoted))
	inBase64 := base64.StdEncoding.EncodeToString([]byte(secret))
	var percent, unicode strings.Builder
	for _, char := range []byte(secret) {
		fmt.Fprintf(&percent, "%%%02x", char)
	}
	for _, r := range secret {
		fmt.Fprintf(&unicode, `\u%04x`, r)
	}
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`),
		inBase64, base64.StdEncoding.EncodeToString([]byte("user:" + secret)), base64.URLEncoding.EncodeToString([]byte("u:" + secret)),
		strings.ToLower(percent.String()), strings.ToUpper(percent.String()), url.QueryEscape(url.QueryEscape(secret)), url.QueryEscape(percent.String()),
		html.EscapeString(secret), hex.EncodeToString([]byte(secret)), fmt.Sprintf("%X", secret), unicode.String(),
		strings.Trim(strconv.Quote(secret), `"`), strings.Trim(strconv.QuoteToASCII(secret), `"`), strings.Trim(string(nested), `"`),
		strings.Trim(fmt.Sprintf("%v", []byte(secret)), "[]"), fmt.Sprintf("% x", secret),
		inBase64[:12] + "\n" + inBase64[12:], base64.StdEncoding.EncodeToString([]byte(inBase64)), utf16Text(secret),
	}
}

// utf16Text returns a text in UTF-16, as base64.
func utf16Text(s string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return base64.StdEncoding.EncodeToString(out)
}
