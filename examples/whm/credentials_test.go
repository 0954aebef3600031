package main

import (
	"io"
	"slices"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/setup"
)

func TestPasswordsOfTheDatabaseAndOfRedisAreRegisteredInEveryRole(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"web", "worker", "all"} {
		s, err := parse([]string{
			"-role", role, "-dsn", "postgres://app:db%2Fpassw0rd@h/x?sslpassword=key-passw0rd", "-redis", "redis://:redis-passw0rd@h:6379/0",
			"-whm-url", "https://h:2087", "-whm-token", token,
		}, func(string) string { return "" }, io.Discard)
		noError(t, err)
		var values []string
		for _, secret := range s.credentials() {
			values = append(values, secret.Reveal())
		}
		for _, want := range []string{"db/passw0rd", "key-passw0rd", "redis-passw0rd", token} {
			if !slices.Contains(values, want) {
				t.Errorf("-role %s: %q is not registered", role, want)
			}
		}
	}
	ordinary := settings{Settings: setup.Settings{DSN: "mysql://nawasync:nawasync@h/x", Redis: "redis://:short@h", Role: "web"}}
	if list := ordinary.credentials(); len(list) != 0 {
		t.Errorf("%d ordinary words are registered", len(list))
	}
}
