package cfapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
)

func TestZonesAndRecordsAreListedCompletelyPageByPage(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 5000, 1000)
	var zones []cfapi.Zone
	account := server.AccountID("main")
	for page, err := range client.Zones(t.Context(), account, "") {
		noError(t, err)
		zones = append(zones, page.Items...)
	}
	if len(zones) != 2 || zones[0].Name != "alpha.example" || zones[0].Account.Name != "main" || zones[0].Plan.Name == "" || len(zones[0].NameServers) != 2 {
		t.Fatalf("zones %+v, want those of the token's account", zones)
	}
	seen, last := map[string]bool{}, false
	for page, err := range client.Records(t.Context(), zones[0].ID, "") {
		noError(t, err)
		for _, r := range page.Items {
			seen[r.ID] = true
		}
		if page.Total == nil || *page.Total != 5000 {
			t.Errorf("a page has the total %v, want 5000", page.Total)
		}
		last = page.Next == ""
	}
	if len(seen) != 5000 || !last || server.Calls(sim.OpRecords) != 5 {
		t.Errorf("listed %d records in %d calls, last page %v, want 5000 in 5 calls", len(seen), server.Calls(sim.OpRecords), last)
	}
	for page, err := range client.Records(t.Context(), zones[0].ID, "5") {
		noError(t, err)
		if len(page.Items) != 1000 || page.Next != "" {
			t.Errorf("a list from page 5 on has %d records, and then page %q", len(page.Items), page.Next)
		}
	}
}

func TestAccountsThatTheTokenMaySeeAreListedPageByPage(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 1, 0)
	names := func() (list []string) {
		for page, err := range client.Accounts(t.Context(), "") {
			noError(t, err)
			if page.Total == nil {
				t.Error("a page has no total")
			}
			for _, a := range page.Items {
				list = append(list, a.Name)
			}
		}
		return list
	}
	if got := names(); !slices.Equal(got, []string{"main"}) {
		t.Errorf("accounts %v, want main alone", got)
	}
	for i := range 60 { // a page has 50
		_, err := server.AddAccount("main", fmt.Sprintf("account %d", i), 0)
		noError(t, err)
	}
	before := server.Calls(sim.OpAccounts)
	if got, calls := names(), server.Calls(sim.OpAccounts); len(got) != 61 || calls-before != 2 {
		t.Errorf("listed %d accounts in %d calls, want 61 in 2", len(got), calls-before)
	}
	account, err := client.Account(t.Context(), server.AccountID("main"))
	if err != nil || account.Name != "main" || account.Type != "standard" || account.CreatedOn == nil {
		t.Errorf("the account is %+v, %v", account, err)
	}
	for page, err := range client.Zones(t.Context(), strings.Repeat("0", 32), "") {
		if err != nil || len(page.Items) != 0 || *page.Total != 0 {
			t.Errorf("the zones of no account are %+v, %v", page, err)
		}
	}
}

// A list whose answer lacks the count must not look like a list with 0 elements.
func TestListWithoutItsTotalHasNone(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 30, 10)
	noError(t, server.Inject(sim.Fault{Operation: sim.OpRecords, Mode: sim.ModeNoTotal, Page: 3}))
	n := 0
	for page, err := range client.Records(t.Context(), server.ZoneID("alpha.example"), "") {
		noError(t, err)
		n += len(page.Items)
		if n == 30 && len(page.Items) > 0 && (page.Total != nil || page.Next == "") {
			t.Errorf("page 3 has the total %v, and then page %q", page.Total, page.Next)
		}
	}
	if n != 30 {
		t.Errorf("listed %d records, want 30", n)
	}
}
