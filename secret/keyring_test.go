package secret_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) []byte {
	t.Helper()
	key := make([]byte, secret.MinKey)
	_, err := rand.Read(key)
	check(t, err)
	return key
}

func keyring(t testing.TB, keys ...[]byte) *secret.Keyring {
	t.Helper()
	ring, err := secret.NewKeyring(keys...)
	check(t, err)
	return ring
}

func TestKeyringRotatesKeysAndRejectsTamperedCiphertext(t *testing.T) {
	t.Parallel()
	first, second := newKey(t), newKey(t)
	old := keyring(t, first)
	sealed, err := old.Encrypt([]byte("plain"), []byte("data"))
	check(t, err)
	again, err := old.Encrypt([]byte("plain"), []byte("data"))
	check(t, err)
	if bytes.Equal(sealed, again) {
		t.Fatal("the nonce is not random")
	}
	plain, err := keyring(t, second, first).Decrypt(sealed, []byte("data"))
	check(t, err)
	if string(plain) != "plain" {
		t.Fatalf("decrypted %q", plain)
	}
	for i := range sealed {
		tampered := bytes.Clone(sealed)
		tampered[i] ^= 1
		if _, err := old.Decrypt(tampered, []byte("data")); err == nil {
			t.Fatalf("decrypted although byte %d was changed", i)
		}
	}
	if _, err := old.Decrypt(sealed, []byte("other")); err == nil {
		t.Fatal("decrypted with other associated data")
	}
	if _, err := keyring(t, second).Decrypt(sealed, []byte("data")); err == nil {
		t.Fatal("decrypted with another key")
	}
	if _, err := secret.NewKeyring([]byte("short")); err == nil || !strings.Contains(err.Error(), "openssl rand 32") {
		t.Fatalf("short key: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", old, old, old); strings.Contains(text, string(first[:4])) {
		t.Fatal("the keyring prints its key")
	}
}

func TestSealedTextOpensOnlyWithItsOwnBinding(t *testing.T) {
	t.Parallel()
	ring := keyring(t, newKey(t))
	own := secret.Binding{Service: "whm", Type: "email", Action: "create", Instance: "a", TargetID: "x"}
	sealed, err := secret.Seal(ring, own, []byte("plain"))
	check(t, err)
	plain, err := secret.Open(ring, own, sealed)
	check(t, err)
	if string(plain) != "plain" {
		t.Fatalf("opened %q", plain)
	}
	for _, other := range []secret.Binding{
		{Service: "cpanel", Type: "email", Action: "create", Instance: "a", TargetID: "x"},
		{Service: "whm", Type: "email", Action: "create", Instance: "b", TargetID: "x"},
		{Service: "whm", Type: "email", Action: "create", Instance: "a", TargetID: "y"},
		{},
	} {
		if _, err := secret.Open(ring, other, sealed); !errors.Is(err, secret.ErrUnseal) {
			t.Errorf("open with binding %+v: %v", other, err)
		}
	}
	if _, err := secret.Open(nil, own, sealed); !errors.Is(err, secret.ErrUnseal) {
		t.Errorf("open without a Sealer: %v", err)
	}
	// NUL separates the parts of a binding. With a NUL in a part, two bindings could be equal.
	split := secret.Binding{Service: "a\x00b", Type: "c", Action: "d", Instance: "e", TargetID: "f"}
	if _, err := secret.Seal(ring, split, []byte("plain")); err == nil {
		t.Error("sealed with a NUL in the binding")
	}
	if _, err := secret.Open(ring, split, sealed); !errors.Is(err, secret.ErrUnseal) {
		t.Errorf("open with a NUL in the binding: %v", err)
	}
	if _, err := (&secret.Keyring{}).Encrypt([]byte("plain"), nil); err == nil {
		t.Error("encrypted with an empty keyring")
	}
	for _, short := range [][]byte{nil, {}, sealed[:5], sealed[1:]} {
		if _, err := secret.Open(ring, own, short); !errors.Is(err, secret.ErrUnseal) {
			t.Errorf("open of %d bytes: %v", len(short), err)
		}
	}
}
