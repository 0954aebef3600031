package main

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// observed runs the example in one process, with metrics and traces.
func observed(t *testing.T) *running {
	t.Helper()
	server, flags := simulator(t, 3)
	out, dir := &output{}, t.TempDir()
	address := startExample(t, out, append(flags, "-addr", "127.0.0.1:0", "-dsn", "sqlite:"+filepath.Join(dir, "whm.db"), "-key", filepath.Join(dir, "key"),
		"-metrics", "127.0.0.1:0", "-traces", "log")...)
	return &running{t, address, server, out}
}

// scrape reads the metrics as Prometheus does.
func (s *running) scrape(host string) (status int, text string) {
	s.t.Helper()
	found := regexp.MustCompile(`the metrics are (http://\S+)`).FindStringSubmatch(s.out.String())
	if found == nil {
		s.t.Fatalf("the output has no address of the metrics:\n%s", s.out)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, found[1], nil)
	noError(s.t, err)
	if host != "" {
		request.Host = host
	}
	response, err := http.DefaultClient.Do(request)
	noError(s.t, err)
	body, err := io.ReadAll(response.Body)
	noError(s.t, err)
	noError(s.t, response.Body.Close())
	return response.StatusCode, string(body)
}

func TestMetricsOfEndedJobsAreScrapedFromTheirOwnAddress(t *testing.T) {
	t.Parallel()
	s := observed(t)
	s.do("/sync")
	status, text := s.scrape("")
	for _, want := range []string{"\nnawasync_up 1\n", `nawasync_jobs_ended_total{outcome="success",service="whm"} 1`, "\ngo_goroutines "} {
		if status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("the scrape has status %d and no %q:\n%s", status, want, text)
		}
	}
	if status, _ := s.scrape("evil.example"); status != http.StatusMisdirectedRequest {
		t.Errorf("the scrape of another host has status %d, want 421", status)
	}
	if status, _ := s.get("/metrics"); status != http.StatusNotFound {
		t.Errorf("the address of the pages answers /metrics with status %d, want 404", status)
	}
}

// span is a span in the log.
type span map[string]string

var logField = regexp.MustCompile(`(\w[\w.]*)=("[^"]*"|\S*)`)

// spans returns the spans of the log by name. Of several, the last one counts.
func (s *running) spans() map[string]span {
	byName := map[string]span{}
	for line := range strings.Lines(s.out.String()) {
		if !strings.Contains(line, " msg=span ") {
			continue
		}
		found := span{}
		for _, field := range logField.FindAllStringSubmatch(line, -1) {
			found[field[1]] = strings.Trim(field[2], `"`)
		}
		byName[found["name"]] = found
	}
	return byName
}

func TestSpansLeadFromTheFormToTheCallOfTheServer(t *testing.T) {
	t.Parallel()
	s := observed(t)
	s.do("/sync")
	s.do("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "777")
	const callName = "POST Email::edit_pop_quota"
	deadline := time.Now().Add(time.Minute)
	for s.spans()[callName] == nil || s.spans()["process whm"] == nil || s.spans()["POST /mailboxes/{action}"] == nil {
		if time.Now().After(deadline) {
			t.Fatalf("the log lacks the span of the form, the job or the call:\n%s", s.out)
		}
		time.Sleep(20 * time.Millisecond)
	}
	form, send, process, call := s.spans()["POST /mailboxes/{action}"], s.spans()["send whm"], s.spans()["process whm"], s.spans()[callName]
	if send["parent_id"] != form["span_id"] || send["trace_id"] != form["trace_id"] {
		t.Errorf("the dispatch %v is no child of the form %v", send, form)
	}
	if process["linked_span_id"] != send["span_id"] || process["linked_trace_id"] != send["trace_id"] {
		t.Errorf("the attempt %v is not linked to the dispatch %v", process, send)
	}
	if call["parent_id"] != process["span_id"] || call["trace_id"] != process["trace_id"] {
		t.Errorf("the call %v is no child of the attempt %v", call, process)
	}
	if form["http.response.status_code"] != "303" || form["http.route"] != "/mailboxes/{action}" {
		t.Errorf("the span of the form is %v, want its route and status 303", form)
	}
}
