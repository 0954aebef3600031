package enginetest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

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
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("user:" + secret)),
		base64.URLEncoding.EncodeToString([]byte("u:" + secret)),
	}
}
