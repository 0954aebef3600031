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

func TestKeyringRotatesAndRefusesWhatWasTamperedWith(t *testing.T) {
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
		t.Fatalf("%q", plain)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := old.Decrypt(broken, []byte("data")); err == nil {
			t.Fatalf("byte %d was changed and it opened", i)
		}
	}
	if _, err := old.Decrypt(sealed, []byte("other")); err == nil {
		t.Fatal("it opened for another job")
	}
	if _, err := keyring(t, second).Decrypt(sealed, []byte("data")); err == nil {
		t.Fatal("it opened with another key")
	}
	if _, err := secret.NewKeyring([]byte("short")); err == nil || !strings.Contains(err.Error(), "openssl rand 32") {
		t.Fatalf("%v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", old, old, old); strings.Contains(text, string(first[:4])) {
		t.Fatal("the keyring prints its key")
	}
}

func TestSealedTextOpensUnderItsOwnBindingOnly(t *testing.T) {
	t.Parallel()
	ring := keyring(t, newKey(t))
	own := secret.Binding{Service: "whm", Type: "email", Action: "create", Instance: "a", TargetID: "x"}
	sealed, err := secret.Seal(ring, own, []byte("plain"))
	check(t, err)
	plain, err := secret.Open(ring, own, sealed)
	check(t, err)
	if string(plain) != "plain" {
		t.Fatalf("%q", plain)
	}
	for _, other := range []secret.Binding{
		{Service: "cpanel", Type: "email", Action: "create", Instance: "a", TargetID: "x"},
		{Service: "whm", Type: "email", Action: "create", Instance: "b", TargetID: "x"},
		{Service: "whm", Type: "email", Action: "create", Instance: "a", TargetID: "y"},
		{},
	} {
		if _, err := secret.Open(ring, other, sealed); !errors.Is(err, secret.ErrUnseal) {
			t.Errorf("it opened under %+v: %v", other, err)
		}
	}
	if _, err := secret.Open(nil, own, sealed); !errors.Is(err, secret.ErrUnseal) {
		t.Errorf("without a Sealer: %v", err)
	}
	// NUL separates the parts: a part with one would be another binding's too.
	split := secret.Binding{Service: "a\x00b", Type: "c", Action: "d", Instance: "e", TargetID: "f"}
	if _, err := secret.Seal(ring, split, []byte("plain")); err == nil {
		t.Error("sealed under a binding with NUL")
	}
	if _, err := secret.Open(ring, split, sealed); !errors.Is(err, secret.ErrUnseal) {
		t.Errorf("under a binding with NUL: %v", err)
	}
	if _, err := (&secret.Keyring{}).Encrypt([]byte("plain"), nil); err == nil {
		t.Error("a keyring without keys sealed")
	}
	for _, short := range [][]byte{nil, {}, sealed[:5], sealed[1:]} {
		if _, err := secret.Open(ring, own, short); !errors.Is(err, secret.ErrUnseal) {
			t.Errorf("%d bytes opened: %v", len(short), err)
		}
	}
}
