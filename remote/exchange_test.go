package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

func TestFailuresHaveTheClassOfReadsAndWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler     http.HandlerFunc
		read, write fault.Class
		calls       int32 // of a read
	}{
		"cut":                  {cut, fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"cut in the body":      {cutBody, fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"hanging":              {hang, fault.ClassTimeout, fault.ClassUnknownOutcome, 1},
		"hanging in the body":  {hangBody, fault.ClassTimeout, fault.ClassUnknownOutcome, 1},
		"HTML with 200":        {answer(200, "<html>"), fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"JSON of another form": {answer(200, `[1]`), fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"an empty body":        {answer(200, ""), fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"too large":            {answer(200, strings.Repeat(" ", 2000)), fault.ClassPermanent, fault.ClassUnknownOutcome, 1},
		"redirected":           {answer(302, "", "Location", "https://elsewhere.example/?token=abc"), fault.ClassConfig, fault.ClassConfig, 1},
		"400":                  {answer(400, ""), fault.ClassPermanent, fault.ClassPermanent, 1},
		"401":                  {answer(401, ""), fault.ClassCredentials, fault.ClassCredentials, 1},
		"403":                  {answer(403, ""), fault.ClassForbidden, fault.ClassForbidden, 1},
		"404":                  {answer(404, ""), fault.ClassGone, fault.ClassGone, 1},
		"405":                  {answer(405, ""), fault.ClassConfig, fault.ClassConfig, 1},
		"408":                  {answer(408, ""), fault.ClassTransient, fault.ClassTransient, 2},
		"409":                  {answer(409, ""), fault.ClassConflict, fault.ClassAlreadyExists, 1},
		"412":                  {answer(412, ""), fault.ClassConflict, fault.ClassConflict, 1},
		"422":                  {answer(422, ""), fault.ClassPermanent, fault.ClassPermanent, 1},
		"429":                  {answer(429, "", "Retry-After", "120"), fault.ClassRateLimited, fault.ClassRateLimited, 1},
		"500":                  {answer(500, ""), fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"502 with HTML":        {answer(502, "<html>"), fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"503":                  {answer(503, ""), fault.ClassTransient, fault.ClassUnknownOutcome, 2},
		"503 with Retry-After": {answer(503, "", "Retry-After", "120"), fault.ClassRateLimited, fault.ClassUnknownOutcome, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, want := range map[string]fault.Class{"GET": c.read, "POST": c.write} {
				s := newServer(t, c.handler)
				r := s.remote(t, func(c *remote.Config) { c.Timeout, c.MaxBody = 200*time.Millisecond, 1000 })
				var into struct{ ID string }
				_, err := r.Call(t.Context(), "", remote.Call{Method: method, URL: s.URL + "/things"}, &into)
				if class := fault.ClassOf(err); class != want {
					t.Errorf("%s: class %s, want %s: %v", method, class, want, err)
				}
				var call *remote.Error
				if !errors.As(err, &call) || call.Service != "test" || call.Method != method || call.Endpoint != "/things" || !call.Sent {
					t.Errorf("%s: the error %+v does not tell the call, and that it was sent", method, call)
				}
				calls := c.calls
				if method == "POST" {
					calls = 1
				}
				if n := s.calls.Load(); n != calls {
					t.Errorf("%s: %d calls, want %d", method, n, calls)
				}
			}
		})
	}
}

func TestCallThatIsNotSentIsTransientForWritesToo(t *testing.T) {
	t.Parallel()
	stopped := httptest.NewServer(nil)
	stopped.Close()
	for _, method := range []string{"GET", "POST"} {
		_, err := (&server{}).remote(t, nil).Call(t.Context(), "", remote.Call{Method: method, URL: stopped.URL}, nil)
		var call *remote.Error
		if fault.ClassOf(err) != fault.ClassTransient || !errors.As(err, &call) || call.Sent {
			t.Errorf("%s: class %s, %+v, want transient and not sent: %v", method, fault.ClassOf(err), call, err)
		}
	}
}

func TestCertificatesAndWrongPortsAreConfigErrors(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(answer(200, "{}"))
	secure.Config.ErrorLog = discard()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := newServer(t, answer(200, "{}"))
	for url, hint := range map[string]string{secure.URL: "certificate is not trusted", strings.Replace(plain.URL, "http:", "https:", 1): "does not speak TLS"} {
		_, err := plain.remote(t, nil).Call(t.Context(), "", remote.Call{Method: "POST", URL: url}, nil)
		if fault.ClassOf(err) != fault.ClassConfig || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: class %s, want config: %v", url, fault.ClassOf(err), err)
		}
	}
}

func TestCallThatItsCallerGivesUp(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]fault.Class{"GET": fault.ClassTimeout, "POST": fault.ClassUnknownOutcome} {
		s := newServer(t, hang)
		_, err := s.remote(t, nil).Call(shortly(t), "", remote.Call{Method: method, URL: s.URL}, nil)
		if fault.ClassOf(err) != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: class %s, want %s and the error of the context: %v", method, fault.ClassOf(err), want, err)
		}
	}
}

func TestReadIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call  remote.Call
		fails bool
		calls int32
	}{
		"GET":             {remote.Call{}, false, 2},
		"POST that reads": {remote.Call{JSON: map[string]int{"page": 1}, Read: true}, false, 2},
		"POST":            {remote.Call{JSON: map[string]int{"page": 1}}, true, 1},
		"PUT":             {remote.Call{Method: "PUT", JSON: map[string]int{"page": 1}}, true, 1},
		"DELETE":          {remote.Call{Method: "DELETE"}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, cutBody, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method == http.MethodPost && string(body) != `{"page":1}` {
					t.Errorf("the second attempt has the body %q", body)
				}
				answer(200, `{}`)(w, r)
			})
			c.call.URL = s.URL
			_, err := s.remote(t, nil).Call(t.Context(), "", c.call, nil)
			if (err != nil) != c.fails || s.calls.Load() != c.calls {
				t.Errorf("%d calls, want %d; error %v", s.calls.Load(), c.calls, err)
			}
		})
	}
}

func TestShortWaitIsInsideTheCallForWritesToo(t *testing.T) {
	t.Parallel()
	limited := answer(429, "", "Retry-After", "1")
	s := newServer(t, limited, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "a=1" {
			t.Errorf("the second attempt has the body %q", body)
		}
		answer(200, "{}")(w, r)
	})
	began := time.Now()
	_, err := s.remote(t, nil).Call(t.Context(), "", remote.Call{URL: s.URL, Form: map[string][]string{"a": {"1"}}}, nil)
	if err != nil || s.calls.Load() != 2 || time.Since(began) < time.Second {
		t.Errorf("%d calls in %s, want 2 in 1 s; error %v", s.calls.Load(), time.Since(began), err)
	}
	s = newServer(t, limited)
	_, err = s.remote(t, func(c *remote.Config) { c.MaxWait = time.Millisecond }).Call(t.Context(), "", remote.Call{URL: s.URL}, nil)
	if f := fault.Outermost(err); f == nil || f.Class != fault.ClassRateLimited || f.RetryAfter != time.Second || s.calls.Load() != 1 {
		t.Errorf("%d calls, want 1 that says to wait for 1 s: %v", s.calls.Load(), err)
	}
}

func TestRetryAfterHasTwoForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "Fri, 02 Jan 2026 03:06:05 GMT": 2 * time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": time.Second,
		"soon": 0, "99999999999": 24 * time.Hour,
	} {
		s := newServer(t, answer(429, "", "Retry-After", header, "Date", now.Format(http.TimeFormat)))
		r := s.remote(t, func(c *remote.Config) { c.MaxWait = time.Millisecond })
		_, err := r.Call(t.Context(), "", remote.Call{URL: s.URL}, nil)
		if f := fault.Outermost(err); f == nil || f.Class != fault.ClassRateLimited || f.RetryAfter != want {
			t.Errorf("Retry-After %q: %+v, want %s", header, f, want)
		}
	}
}

func TestFailingRemoteBecomesUnavailableForReadsAndUnsentCalls(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(500, ""))
	r := s.remote(t, nil)
	for _, c := range []struct {
		method, path string
		want         fault.Class
		calls        int32 // in all
	}{
		{"PUT", "/a", fault.ClassUnknownOutcome, 1},
		{"PUT", "/a", fault.ClassUnknownOutcome, 2},
		{"GET", "/a", fault.ClassTransient, 4}, // one object proves nothing
		{"PUT", "/b", fault.ClassUnknownOutcome, 5},
		{"PUT", "/c", fault.ClassUnknownOutcome, 6}, // the breaker opens, and this write may have happened
		{"PUT", "/d", fault.ClassUnavailable, 6},
		{"GET", "/a", fault.ClassUnavailable, 6},
	} {
		_, err := r.Call(t.Context(), "", remote.Call{Method: c.method, URL: s.URL + c.path}, nil)
		if fault.ClassOf(err) != c.want || s.calls.Load() != c.calls {
			t.Errorf("%s %s: class %s after %d calls, want %s after %d: %v", c.method, c.path, fault.ClassOf(err), s.calls.Load(), c.want, c.calls, err)
		}
	}
	s = newServer(t, answer(500, ""))
	r = s.remote(t, nil)
	for i, want := range []fault.Class{fault.ClassTransient, fault.ClassTransient, fault.ClassUnavailable} {
		_, err := r.Client("").Get(s.URL + "/" + strconv.Itoa(i))
		if i == 2 && fault.ClassOf(err) != want || i < 2 && err != nil {
			t.Errorf("client, object %d: %v", i, err)
		}
	}
	stopped := httptest.NewServer(nil)
	stopped.Close()
	r = s.remote(t, nil)
	for _, want := range []fault.Class{fault.ClassTransient, fault.ClassTransient, fault.ClassUnavailable, fault.ClassUnavailable} {
		_, err := r.Call(t.Context(), "", remote.Call{Method: "PUT", URL: stopped.URL}, nil)
		if fault.ClassOf(err) != want {
			t.Errorf("class %s, want %s: %v", fault.ClassOf(err), want, err)
		}
	}
}

func TestCallWithoutBudgetIsNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, "{}"))
	r := s.remote(t, func(c *remote.Config) { c.Budgets = []remote.Budget{{Calls: 2, Window: time.Hour}} })
	var err error
	for range 3 {
		_, err = r.Call(t.Context(), "", remote.Call{Method: "PUT", URL: s.URL}, nil)
	}
	if f := fault.Outermost(err); f == nil || f.Class != fault.ClassRateLimited || f.RetryAfter == 0 || s.calls.Load() != 2 {
		t.Errorf("%d calls, want 2 and a time to wait: %v", s.calls.Load(), err)
	}
}
