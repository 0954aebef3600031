package remote

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/secret"
)

func TestACallIsCountedAndToldToItsJobWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	r, err := New(Config{Service: "dns", Secrets: []secret.Secret{secret.New("correct-horse-battery"), {}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []remotecall.Call
	ctx := remotecall.With(t.Context(), &remotecall.Job{Record: func(c remotecall.Call) { told = append(told, c) }})
	call := remotecall.Call{Scope: "main", Method: "GET", Template: "/tokens/correct-horse-battery?a=b", Status: 500, Class: "transient", Start: time.Now(), Left: -1}
	r.record(ctx, call)
	r.record(remotecall.With(t.Context(), &remotecall.Job{}), call)
	r.record(t.Context(), call)
	if len(told) != 1 || told[0].Template != "/tokens/***" || told[0].Service != "dns" {
		t.Errorf("the job was told of %+v", told)
	}
	if r.Ledger(remotecall.Key{}) != nil {
		t.Error("the ledger is open to everybody")
	}
	sums := r.Ledger(remotecall.NewKey()).Take()
	if len(sums) != 1 || sums[0].Calls != 3 || sums[0].Errors["transient"] != 3 || sums[0].Template != "/tokens/***" {
		t.Errorf("the ledger has %+v", sums)
	}
}

func BenchmarkRecord(b *testing.B) {
	r, err := New(Config{Service: "dns"})
	if err != nil {
		b.Fatal(err)
	}
	call := remotecall.Call{Scope: "main", Method: "GET", Template: "/zones/{zone}/dns_records", Status: 200, Start: time.Now(), Duration: 40 * time.Millisecond, Left: 900}
	for b.Loop() {
		r.record(b.Context(), call)
	}
}

func TestQuotaLeftIsTheLowestOfTheRatelimitHeader(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{
		`"default";r=50;t=30`: 50, `"burst";r=9;t=1, "default";r=50;t=30`: 9, `"default";r=50`: -1, `"default";r=-1;t=30`: -1, "": -1, "x": -1,
	} {
		left, _, ok := quotaLeft(http.Header{"Ratelimit": {value}})
		if ok != (want >= 0) || ok && left != want {
			t.Errorf("%q has %d left, %v; want %d", value, left, ok, want)
		}
	}
}

func TestEachAttemptOfACallIsInTheLedger(t *testing.T) {
	t.Parallel()
	answers := []int{503, 200, 404}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Ratelimit", `"default";r=7;t=30`)
		w.WriteHeader(answers[0])
		answers = answers[1:]
	}))
	defer server.Close()
	r, err := New(Config{
		Service: "dns", Template: func(*http.Request) string { return "/zones/{zone}" }, Class: func(*http.Request) string { return "reads" },
	})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	ctx := remotecall.With(t.Context(), &remotecall.Job{Record: func(c remotecall.Call) {
		told = append(told, fmt.Sprint(c.Method, " ", c.Template, " ", c.Status, " ", c.Class, " ", c.Scope, " ", c.Budget, " ", c.Left, " ", c.Server == strings.TrimPrefix(server.URL, "http://")))
	}})
	for range 2 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/zones/7?name=x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.Client("main").Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if _, err := r.Call(ctx, "main", Call{Method: http.MethodDelete, URL: "http://127.0.0.1:1/zones/7"}, nil); err == nil {
		t.Error("a call without a server succeeds")
	}
	want := []string{
		"GET /zones/{zone} 503 transient main reads 7 true", "GET /zones/{zone} 200  main reads 7 true", "GET /zones/{zone} 404 gone main reads 7 true",
		"DELETE /zones/{zone} 0 transient main reads -1 false",
	}
	if !slices.Equal(told, want) {
		t.Errorf("the job was told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	var calls int64
	for _, sum := range r.Ledger(remotecall.NewKey()).Take() {
		calls += sum.Calls
	}
	if calls != 4 {
		t.Errorf("the ledger has %d calls, want 4", calls)
	}
}
