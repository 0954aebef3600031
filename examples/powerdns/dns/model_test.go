package dns_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/internal/enginetest"
)

func TestNamesOfFormsGetTheZoneUnlessTheyAreComplete(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "alpha.example.", "@": "alpha.example.", "WWW": "www.alpha.example.", "www.alpha.example": "www.alpha.example.", "Alpha.Example": "alpha.example.",
		"*": "*.alpha.example.", "www.other.example": "www.other.example.alpha.example.", "www.other.example.": "www.other.example.",
	} {
		if got := dns.FullName(name, "alpha.example."); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	records := []string{"2001:DB8:0::1"}
	set := dns.Set{Type: "AAAA", Records: records}
	_, config, err := dns.Configs(nil)
	enginetest.NoError(t, err)
	if config.Normalise(&set); set.Records[0] != "2001:db8::1" || records[0] != "2001:DB8:0::1" {
		t.Errorf("the set has %q and the list of its caller %q, want only the set changed", set.Records, records)
	}
}

// The two adapters, without the client, have at most 150 lines.
func TestAdaptersAreShort(t *testing.T) {
	t.Parallel()
	lines := 0
	for _, file := range []string{"zones.go", "sets.go"} {
		text, err := os.ReadFile(file)
		enginetest.NoError(t, err)
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines > 150 {
		t.Errorf("the adapters have %d lines, want at most 150", lines)
	}
}
