package enginetest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

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

// DumpDatabase returns what is stored of an engine as text: all columns of all tables that the database
// has, Redis, and the log. It leaves out the named tables, such as one of the test's own application.
func DumpDatabase(t testing.TB, h *Harness, except ...string) string {
	t.Helper()
	var b strings.Builder
	tables, err := h.DB.Migrator().GetTables()
	NoError(t, err)
	if len(tables) < 9 {
		t.Fatalf("only the tables %v exist", tables)
	}
	for _, table := range tables {
		if !slices.Contains(except, table) {
			dumpTable(t, &b, h, table)
		}
	}
	if h.Mini != nil {
		b.WriteString(h.Mini.Dump())
	} else {
		dumpRedis(t, &b, h.Redis)
	}
	b.WriteString(h.Log.String())
	return b.String()
}

// dumpTable writes each value of a table, as text.
func dumpTable(t testing.TB, b *strings.Builder, h *Harness, table string) {
	t.Helper()
	rows, err := h.DB.Raw("SELECT * FROM " + h.DB.Statement.Quote(table)).Rows()
	NoError(t, err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	NoError(t, err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		NoError(t, rows.Scan(into...))
		for i, value := range values {
			if raw, isBytes := value.([]byte); isBytes {
				value = string(raw)
			}
			fmt.Fprintf(b, "%s.%s: %v\n", table, columns[i], value)
		}
	}
	NoError(t, rows.Err())
}

// dumpRedis writes each key of Redis with its value, whatever its type is.
func dumpRedis(t testing.TB, b *strings.Builder, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	keys, err := client.Keys(ctx, "*").Result()
	NoError(t, err)
	for _, key := range keys {
		var value any
		switch typ := client.Type(ctx, key).Val(); typ {
		case "string":
			value = client.Get(ctx, key).Val()
		case "hash":
			value = client.HGetAll(ctx, key).Val()
		case "list":
			value = client.LRange(ctx, key, 0, -1).Val()
		case "set":
			value = client.SMembers(ctx, key).Val()
		case "zset":
			value = client.ZRangeWithScores(ctx, key, 0, -1).Val()
		case "stream":
			value = client.XRange(ctx, key, "-", "+").Val()
		case "none": // it has expired since
		default:
			t.Fatalf("the key %s has the unknown type %s", key, typ)
		}
		fmt.Fprintln(b, key, value)
	}
}

// RequireNoSecret fails the test if a text has one of the secrets, in any spelling.
func RequireNoSecret(t testing.TB, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for _, s := range Spellings(secret) {
			if at := strings.Index(text, s.Text); at >= 0 {
				t.Errorf("%s: a secret as %s (%q): …%s…", where, s.Name, s.Text, text[max(0, at-200):min(len(text), at+len(s.Text)+100)])
			}
		}
	}
}
