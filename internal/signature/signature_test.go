package signature_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nawasara/nawasync/internal/signature"
)

func TestErrorsThatDifferInIDsNamesAddressesAndTimesAreOneGroup(t *testing.T) {
	t.Parallel()
	for want, texts := range map[string][]string{
		"quota exceeded for …": {
			"quota exceeded for b@example.org",
			"quota exceeded for 17",
			`quota exceeded for "Ann's box"`,
			"quota  exceeded\tfor info@größe.example\nat line 3",
		},
		"dial tcp …: connect: connection refused": {
			"dial tcp 10.0.0.1:3306: connect: connection refused",
			"dial tcp db-1.example.org:3306: connect: connection refused",
		},
		"zone … not found": {
			"zone 550e8400-e29b-41d4-a716-446655440000 not found",
			"zone DEADBEEF not found",
			"zone a1b2c3 not found",
			"zone example.org not found",
		},
		"HTTP 503: try again in …":                    {"HTTP 503: try again in 30s", "HTTP 503: try again in 1.5s"},
		"HTTP 403: try again in …":                    {"HTTP 403: try again in 30s"},
		"Error 1062 (…): Duplicate entry … for key …": {"Error 1062 (23000): Duplicate entry 'a-b' for key 'names.unique'"},
		"status code: 404, can't find …, won't try": {
			"status code: 404, can't find /v1/accounts/7/zones, won't try",
			"status code: 404, can't find https://api.example.org/x?y=1, won't try",
		},
		"expired at …": {
			"expired at 2026-11-27T16:40:00Z",
			"expired at 2026-11-27 16:40:00",
			"expired at 16:40, 17:40, 18:40",
		},
		"x509: certificate signed by unknown authority": {"x509: certificate signed by unknown authority"},
		"read/write … failed (…)":                       {"read/write token_4f failed (2, 3)", "read/write 5 failed ('x')"},
		"":                                              {"", "  \n\t"},
		"password was [redacted] for account …, try later %": {"password was [redacted] for account 9, try later %"},
	} {
		for _, text := range texts {
			if got := signature.Normalise(text); got != want {
				t.Errorf("Normalise(%q) = %q, want %q", text, got, want)
			}
		}
	}
}

func TestNamesOfTheJobBecomePlaceholdersOnlyAsWholeWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mailbox alice is over quota": "mailbox … is over quota", "malice is no alice": "malice is no …", "alice: no such user": "…: no such user",
		"user alice (Alice B.) on main": "user … (…) on …", "maintenance": "maintenance",
	} {
		if got := signature.Normalise(text, "alice", "", "main", "Alice B."); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", text, got, want)
		}
	}
}

// What is quoted is a name or what somebody has sent. None of it stays, also if it has quotation marks itself or
// if its end was cut off.
func TestNothingOfAQuotedTextStays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`unexpected response "{\"error\":\"no such user\",\"user\":\"ann smith\"}"`:                     "unexpected response …",
		`unexpected response {\"error\":\"no such user\",\"user\":\"ann smith\"}`:                       `unexpected response {\…:\…,\…:\…}`,
		`cannot parse "Ann \"Annie\" Smith" again`:                                                      "cannot parse … again",
		`unexpected response "Dear Ann Smith, ` + strings.Repeat("your account has expired ", 40) + `"`: "unexpected response …",
		"unexpected response \"Dear Ann Smith,\nyour account\"":                                         "unexpected response …",
		`name 'Ann O'Hara' is too long`:                                                                 "name … is too long",
		`Benutzer „Ann Smith“ fehlt`:                                                                    "Benutzer … fehlt",
		`Benutzer ‚Ann Smith‘ fehlt`:                                                                    "Benutzer … fehlt",
	} {
		if got := signature.Normalise(text); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestSignatureDiffersByClassAndItsIDIsReadBack(t *testing.T) {
	t.Parallel()
	a, b := signature.Of("permanent", "no such user 1"), signature.Of("permanent", "no such user 2")
	if other := signature.Of("transient", "no such user 1"); a != b || other.Hash == a.Hash {
		t.Errorf("%+v, %+v, %+v", a, b, other)
	}
	for _, hash := range []int64{a.Hash, 1, -1, signature.Other} {
		if got, err := signature.ParseID(signature.ID(hash)); err != nil || got != hash {
			t.Errorf("ParseID(%q) = %d, %v, want %d", signature.ID(hash), got, err, hash)
		}
	}
	for _, id := range []string{"", "7", "0000000000000000", "+000000000000007", "Other", strings.Repeat("f", 17)} {
		if _, err := signature.ParseID(id); err == nil {
			t.Errorf("ParseID(%q) is no error", id)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("quota exceeded for b@example.org: 'x", "x")
	f.Add("…\xff\"“", "“")
	f.Fuzz(func(t *testing.T, text, name string) {
		begin := time.Now()
		got := signature.Normalise(text, name)
		if len(got) > signature.MaxText || strings.ContainsAny(got, "\n") || (utf8.ValidString(text) && !utf8.ValidString(got)) {
			t.Errorf("Normalise(%q) = %q", text, got)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Normalise of %d bytes took %s", len(text), took)
		}
	})
}

func BenchmarkOf(b *testing.B) {
	for b.Loop() {
		signature.Of("permanent", "quota exceeded for info@example.org: Error 1062 (23000): Duplicate entry 'a-b' for key 'names.unique' at 10.0.0.1:3306", "info@example.org", "main")
	}
}
