package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestFormThatIsSentTwiceDispatchesOneJob(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 1)
	s.do("/sync")
	form := []string{"token", "token-of-a-form-0001", "email", "info@alpha.example", "seen", s.seen("info@alpha.example"), "password", "correct horse"}
	jobs := make([]string, 6)
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() { _, _, jobs[i] = s.post("/mailboxes/update_password", form...) })
	}
	wg.Wait()
	for _, job := range jobs {
		if job != jobs[0] || job == "" {
			t.Fatalf("the requests dispatched the jobs %q, want the same one", jobs)
		}
	}
	s.await(jobs[0], "success")
	if _, _, job := s.post("/mailboxes/update_password", form...); job != jobs[0] {
		t.Errorf("after the job ended, the form dispatched job %q", job)
	}
	status, _, other := s.post("/mailboxes/update_password", append(form, "password", "battery staple")...)
	if status != http.StatusUnprocessableEntity || other != "" {
		t.Errorf("another password: status %d, job %q, want 422 and no job", status, other)
	}
	if _, _, job := s.post("/mailboxes/update_password", form[2:]...); job == jobs[0] || job == "" {
		t.Errorf("a new form dispatched job %q", job)
	}
}

func TestRefusedFormCanBeCorrectedAndSentAgain(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 1)
	s.do("/sync")
	form := []string{"token", "token-of-a-form-0001", "email", "info@alpha.example", "password"}
	if status, _, _ := s.post("/mailboxes/update_password", append(form, "short")...); status != http.StatusUnprocessableEntity {
		t.Fatalf("a short password: status %d, want 422", status)
	}
	if status, _, job := s.post("/mailboxes/update_password", append(form, "long enough")...); status != http.StatusSeeOther || job == "" {
		t.Errorf("the corrected form: status %d, job %q", status, job)
	}
}

func TestFormsWithoutATokenAreRefusedAndEveryFormHasOne(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 1)
	response, err := http.PostForm(s.url+"/sync", url.Values{})
	noError(t, err)
	noError(t, response.Body.Close())
	if response.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a form without a token: status %d, want 422", response.StatusCode)
	}
	forms, files := 0, []string{}
	for _, pattern := range []string{"web/*.templ", "../cloudflare/web/*.templ", "../internal/site/*.templ"} {
		found, err := filepath.Glob(pattern)
		noError(t, err)
		files = append(files, found...)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		noError(t, err)
		for _, after := range regexp.MustCompile(`(?s)method="post"[^\n]*\n\s*(\S+)`).FindAllStringSubmatch(string(source), -1) {
			if forms++; !strings.HasSuffix(after[1], "Token()") {
				t.Errorf("a form in %s begins with %s and not with a token", name, after[1])
			}
		}
	}
	if forms < 30 {
		t.Errorf("the templates have %d forms", forms)
	}
}
