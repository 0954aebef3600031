package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

var (
	fuzzKey     = bytes.Repeat([]byte("k"), secret.MinKey)
	fuzzBinding = secret.Binding{Service: "whm", Type: "email", Action: "create", Instance: "a", TargetID: "x"}
)

// FuzzSeal checks that a sealed text opens to what was sealed, that a change of any part of it, of the
// key or of the binding is an error, and that no input makes Open panic.
func FuzzSeal(f *testing.F) {
	f.Add([]byte(`{"password":"hunter22"}`), []byte(nil), "whm", "x", 0, byte(1))
	f.Add([]byte{}, []byte{2}, "", "", 1, byte(0x80))
	f.Add([]byte{0x80, 0, 0}, bytes.Repeat([]byte{1}, 100), "a\x00b", "c", 20, byte(3))
	f.Add(bytes.Repeat([]byte("long"), 5000), bytes.Repeat([]byte{2}, 60), "a", "b\x00", 90, byte(255))
	f.Fuzz(func(t *testing.T, plain, junk []byte, service, target string, at int, flip byte) {
		ring := keyring(t, fuzzKey)
		if _, err := secret.Open(ring, fuzzBinding, junk); !errors.Is(err, secret.ErrUnseal) {
			t.Fatalf("open of random bytes: %v", err)
		}
		own := secret.Binding{Service: service, Type: "t", Action: "a", TargetID: target, Created: int64(at)}
		sealed, err := secret.Seal(ring, own, plain)
		if strings.Contains(service+target, "\x00") {
			if err == nil {
				t.Fatal("sealed with a NUL in the binding")
			}
			return
		}
		check(t, err)
		opened, err := secret.Open(ring, own, sealed)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("opened %q, %v; want %q", opened, err, plain)
		}
		changed := bytes.Clone(sealed)
		changed[uint(at)%uint(len(changed))] ^= max(1, flip)
		other := own
		other.TargetID += "y"
		newer := own
		newer.Created = int64(at) + 1
		moved := own
		moved.Type, moved.Service = "t"+service, service+"t"
		for name, open := range map[string]func() ([]byte, error){
			"a changed byte":   func() ([]byte, error) { return secret.Open(ring, own, changed) },
			"a shorter text":   func() ([]byte, error) { return secret.Open(ring, own, sealed[:uint(at)%uint(len(sealed))]) },
			"a longer text":    func() ([]byte, error) { return secret.Open(ring, own, append(bytes.Clone(sealed), flip)) },
			"another key":      func() ([]byte, error) { return secret.Open(keyring(t, bytes.Repeat([]byte("o"), 32)), own, sealed) },
			"another target":   func() ([]byte, error) { return secret.Open(ring, other, sealed) },
			"another row":      func() ([]byte, error) { return secret.Open(ring, newer, sealed) },
			"a moved boundary": func() ([]byte, error) { return secret.Open(ring, moved, sealed) },
		} {
			if got, err := open(); !errors.Is(err, secret.ErrUnseal) || got != nil {
				t.Fatalf("%s: %q, %v; want ErrUnseal", name, got, err)
			}
		}
	})
}

// TestTextsOfTheFirstVersionStillOpen opens a text that a release without padding and salts has sealed.
func TestTextsOfTheFirstVersionStillOpen(t *testing.T) {
	t.Parallel()
	sealed, err := base64.StdEncoding.DecodeString(firstVersion)
	check(t, err)
	plain, err := secret.Open(keyring(t, newKey(t), fuzzKey), fuzzBinding, sealed)
	if err != nil || string(plain) != `{"password":"hunter22"}` {
		t.Errorf("opened %q, %v", plain, err)
	}
	sealed[0] = 2 // a text of one version does not pass for one of the other
	if _, err := secret.Open(keyring(t, fuzzKey), fuzzBinding, sealed); !errors.Is(err, secret.ErrUnseal) {
		t.Errorf("opened with another version: %v", err)
	}
}

func TestSealedLengthsShowALengthOnlyRoughly(t *testing.T) {
	t.Parallel()
	ring := keyring(t, newKey(t))
	size := func(n int) int {
		sealed, err := secret.Seal(ring, fuzzBinding, bytes.Repeat([]byte("x"), n))
		check(t, err)
		return len(sealed)
	}
	if a, b := size(40), size(63); a != b {
		t.Errorf("40 and 63 bytes are sealed in %d and %d; want one length", a, b)
	}
	for _, n := range []int{0, 1, 63, 64, 65, 1000, 1024, 70_000, 1 << 20} {
		if overhead := size(n) - n; overhead > max(64+80, n/8+80) {
			t.Errorf("%d bytes take %d more; want at most an eighth", n, overhead)
		}
	}
	var lengths []int
	for n := range 5000 {
		lengths = append(lengths, size(n))
	}
	if lengths = slices.Compact(lengths); len(lengths) > 70 {
		t.Errorf("5,000 lengths show as %d", len(lengths))
	}
}

func TestEachTextHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	ring := keyring(t, newKey(t))
	seen := map[string]bool{}
	for range 100 {
		sealed, err := ring.Encrypt([]byte("plain"), nil)
		check(t, err)
		seen[string(sealed[4:20])] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 texts have %d salts", len(seen))
	}
}

// firstVersion is `{"password":"hunter22"}`, sealed with fuzzKey and fuzzBinding by a release of the first version.
const firstVersion = "AWQx+cmXMoqwRJoiO9v6LgQuoi5QndIoJQOhJiSDkltcitmf9Zx9y2B96QFYDkxFk7kGCudgl1jvhOrZQf1E5422W16TF86W"
