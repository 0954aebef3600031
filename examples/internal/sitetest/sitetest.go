// Package sitetest drives the pages of an example in tests.
package sitetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/internal/setup"
)

// Output collects the output and the log of a process. It is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Start runs an example until the test ends. It returns the address of the page, or "" for a worker.
func Start(t *testing.T, out *Output, run func(ctx context.Context, out io.Writer, logger *slog.Logger) error) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	before := len(out.String())
	go func() {
		ended <- run(ctx, out, slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(setup.DrainTimeout + 5*time.Second):
			t.Error("the example did not stop within the drain timeout")
		}
	})
	page := regexp.MustCompile(`the page is (http://\S+)`)
	for {
		text := out.String()[before:]
		if found := page.FindStringSubmatch(text); found != nil {
			return found[1]
		}
		if strings.Contains(text, "the worker runs") {
			return ""
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the example did not start: %v\n%s", err, text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Site is a running example.
type Site struct {
	T   *testing.T
	URL string
	Out *Output
}

func (s *Site) noError(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// Get reads a page.
func (s *Site) Get(path string) (status int, page string) {
	s.T.Helper()
	response, err := http.Get(s.URL + path)
	s.noError(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.noError(err)
	return response.StatusCode, html.UnescapeString(string(body))
}

// Post sends a form of names and values. It returns the status, the page and the id of the dispatched job.
func (s *Site) Post(path string, form ...string) (status int, page, job string) {
	s.T.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	return s.Send(path, values)
}

// Send is Post for a form that may have several values of one name.
func (s *Site) Send(path string, values url.Values) (status int, page, job string) {
	s.T.Helper()
	if !values.Has("token") {
		values.Set("token", rand.Text())
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.PostForm(s.URL+path, values)
	s.noError(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	s.noError(err)
	to, _ := url.Parse(response.Header.Get("Location"))
	return response.StatusCode, html.UnescapeString(string(text)), to.Query().Get("job")
}

var statusOf = regexp.MustCompile(`<span class="badge \w+">\S+ (\w+)</span>`)

// Await waits until the job's page shows one of the statuses. It fails if the job ends with another
// status.
func (s *Site) Await(job string, statuses ...string) string {
	s.T.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for {
		_, page := s.Get("/jobs/" + job)
		found := statusOf.FindStringSubmatch(page)
		for _, want := range statuses {
			if found != nil && found[1] == want {
				return page
			}
		}
		if time.Now().After(deadline) || (found != nil && slices.Contains([]string{"success", "failed", "conflict", "skipped", "cancelled"}, found[1])) {
			s.T.Fatalf("job %s has the status %v, want %v:\n%s\n%s", job, found, statuses, page, s.Out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// WaitForText waits until a page contains a text.
func (s *Site) WaitForText(path, text string) {
	s.T.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, page := s.Get(path)
		if strings.Contains(page, text) {
			return
		}
		if time.Now().After(deadline) {
			s.T.Fatalf("%s does not show %q within 2 minutes:\n%s", path, text, page)
		}
	}
}

// Do sends a form and waits until its job succeeds. It returns the job's page.
func (s *Site) Do(path string, form ...string) string {
	s.T.Helper()
	return s.Succeeded(s.Post(path, form...))
}

// Succeeded waits until the job that a form has dispatched succeeds, and returns the job's page.
func (s *Site) Succeeded(status int, body, job string) string {
	s.T.Helper()
	if status != http.StatusSeeOther || job == "" {
		s.T.Fatalf("the form: status %d, want a redirect to a job:\n%s", status, body)
	}
	return s.Await(job, "success")
}
