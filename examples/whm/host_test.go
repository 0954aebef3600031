package main

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// send makes a request with another Host header.
func (s *running) send(method, path, host, contentType string, body io.Reader) int {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	noError(s.t, err)
	request.Host = host
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	noError(s.t, err)
	noError(s.t, response.Body.Close())
	return response.StatusCode
}

func TestRequestsForAnotherHostAreRefused(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 1)
	for _, path := range []string{"/", "/accounts", "/admin/sync/jobs"} {
		for host, want := range map[string]int{
			"evil.example": http.StatusMisdirectedRequest, "evil.example:8080": http.StatusMisdirectedRequest, "localhost.evil.example": http.StatusMisdirectedRequest,
			"127.0.0.1.evil.example": http.StatusMisdirectedRequest, "localhost": http.StatusOK,
			"LOCALHOST.:8080": http.StatusOK, "127.0.0.1:1": http.StatusOK, "[::1]:1": http.StatusOK,
		} {
			if got := s.send(http.MethodGet, path, host, "", nil); got != want {
				t.Errorf("GET %s of host %s: status %d, want %d", path, host, got, want)
			}
		}
	}
	got := s.send(http.MethodPost, "/accounts/terminate", "evil.example", "application/x-www-form-urlencoded", strings.NewReader("username=u1"))
	if got != http.StatusMisdirectedRequest {
		t.Errorf("POST of another host: status %d, want 421", got)
	}
}

func TestFormsThatAreLargeOrMultipartAreRefused(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 1)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	noError(t, form.WriteField("username", "u1"))
	noError(t, form.Close())
	for _, path := range []string{"/sync", "/user", "/elsewhere", "/mailboxes/create", "/accounts/create", "/jobs/1/overwrite", "/held/1/release"} {
		if got := s.send(http.MethodPost, path, "localhost", form.FormDataContentType(), bytes.NewReader(body.Bytes())); got != http.StatusUnsupportedMediaType {
			t.Errorf("multipart POST %s: status %d, want 415", path, got)
		}
		large := io.MultiReader(strings.NewReader("username="), strings.NewReader(strings.Repeat("a", 64<<10)))
		if got := s.send(http.MethodPost, path, "localhost", "application/x-www-form-urlencoded", io.NopCloser(large)); got != http.StatusRequestEntityTooLarge {
			t.Errorf("POST %s of 64 KiB: status %d, want 413", path, got)
		}
	}
}

func TestAddressBeyondLoopbackIsWarnedOf(t *testing.T) {
	t.Parallel()
	_, flags := simulator(t, 1)
	dir, out := t.TempDir(), &output{}
	startExample(t, out, append(flags, "-addr", "0.0.0.0:0", "-dsn", "sqlite:"+filepath.Join(dir, "whm.db"), "-key", filepath.Join(dir, "key"))...)
	if !strings.Contains(out.String(), "WARNING: these pages have no login") {
		t.Errorf("no warning in the output:\n%s", out)
	}
}
