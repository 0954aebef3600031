package admin_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
)

// send posts a body of a type.
func (s *site) send(subject, path, contentType string, body io.Reader) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.server.URL+s.prefix+path, body)
	noError(s.t, err)
	request.Header.Set("X-Subject", subject)
	request.Header.Set("Content-Type", contentType)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return answer{response.StatusCode, response.Header, string(data)}
}

// The paths of all forms.
var formPaths = []string{"/preferences", "/bulk", "/bulk/1/stop", "/jobs/1/retry", "/services/whm/pause", "/held/1/release"}

func TestMultipartFormsAreRefusedAndLeaveNoFile(t *testing.T) { //nolint:paralleltest // sets the temporary folder
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	s := newSite(t, testdb.SQLite(t), "/sync", nil)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("theme", "f")
	noError(t, err)
	_, err = file.Write(make([]byte, 40<<20)) // more than net/http keeps in memory
	noError(t, err)
	noError(t, form.Close())
	for _, path := range formPaths {
		got := s.send("operator", path, form.FormDataContentType(), bytes.NewReader(body.Bytes()))
		if got.status != http.StatusUnsupportedMediaType || !strings.Contains(got.body, "application/x-www-form-urlencoded") {
			t.Errorf("POST %s: status %d, want 415 with a hint", path, got.status)
		}
	}
	files, err := os.ReadDir(folder)
	noError(t, err)
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "multipart") {
			t.Errorf("the temporary folder has %s", f.Name())
		}
	}
}

func TestFormsOfMoreThan64KiBAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/sync", nil)
	for _, path := range formPaths {
		body := io.MultiReader(strings.NewReader("back="), strings.NewReader(strings.Repeat("a", 64<<10)))
		got := s.send("operator", path, "application/x-www-form-urlencoded", io.NopCloser(body)) // without a length
		if got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "64 KiB") {
			t.Errorf("POST %s: status %d, want 413 with the limit", path, got.status)
		}
	}
	if got := s.post("operator", "/preferences", "theme", "dark", "back", "/sync/jobs?"+strings.Repeat("a", 60<<10)); got.status != http.StatusSeeOther {
		t.Errorf("a form of 60 KiB: status %d, want 303", got.status)
	}
}

func TestFormsAreReadOnlyWithAPermission(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/sync", nil)
	for _, subject := range []string{"", "nobody"} {
		got := s.send(subject, "/preferences", "multipart/form-data; boundary=x", strings.NewReader("--x--"))
		if got.status != http.StatusForbidden {
			t.Errorf("POST of %q: status %d, want 403", subject, got.status)
		}
	}
}

func TestTextThatNoDatabaseStoresIsABadRequest(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/sync", nil)
		for _, path := range []string{
			"/jobs?q=%00", "/jobs?q=a%ff", "/jobs.json?q=error:%00", "/jobs.csv?q=%00", "/target?service=whm&type=mailbox&id=%00", "/audit?by=%00", "/services/%00",
			"/jobs?q=100%", "/bulk?q=%00",
		} {
			if got := s.get("operator", path); got.status != http.StatusBadRequest {
				t.Errorf("GET %s: status %d, want 400", path, got.status)
			}
		}
		got := s.post("operator", "/services/whm/pause", "instance", "\x00", "reason", "x")
		if got.status != http.StatusBadRequest {
			t.Errorf("POST with a NUL: status %d, want 400", got.status)
		}
	})
}

func TestFormsRedirectToNoOtherSite(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/sync"} {
		s := newSite(t, testdb.SQLite(t), prefix, nil)
		for _, back := range []string{
			"//evil.example/", "/%2fevil.example/", "/%2Fevil.example", "/sync//evil.example", prefix + "//evil.example", prefix + "/%2f%2fevil.example",
			`/\evil.example`,
			prefix + `/\evil.example`, "/%5cevil.example", "https://evil.example/sync/jobs", "javascript:alert(1)", "\t//evil.example", "/\t/evil.example", "/%09/evil.example",
		} {
			got := s.post("operator", "/preferences", "theme", "dark", "back", back)
			to, err := url.Parse(got.header.Get("Location"))
			if err != nil || to.Host != "" || to.Path != prefix+"/jobs" {
				t.Errorf("prefix %q, back %q: redirects to %q, want the job list", prefix, back, got.header.Get("Location"))
			}
		}
		if got := s.post("operator", "/preferences", "theme", "dark", "back", prefix+"/health?x=1"); got.header.Get("Location") != prefix+"/health?x=1" {
			t.Errorf("redirects to %q, want the page that sent the form", got.header.Get("Location"))
		}
	}
}
