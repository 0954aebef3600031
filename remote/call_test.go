package remote_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

func TestCallSendsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call               remote.Call
		method, kind, body string
	}{
		"nothing": {remote.Call{}, "GET", "", ""},
		"a form":  {remote.Call{Form: url.Values{"a": {"1 2"}}}, "POST", "application/x-www-form-urlencoded", "a=1+2"},
		"JSON":    {remote.Call{Method: "PATCH", JSON: map[string]int{"a": 1}}, "PATCH", "application/json", `{"a":1}`},
		"its own type": {
			remote.Call{JSON: []int{1}, Header: http.Header{"content-type": {"application/merge-patch+json"}}}, "POST", "application/merge-patch+json", `[1]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != c.method || r.Header.Get("Content-Type") != c.kind || string(body) != c.body || r.URL.RawQuery != "a=1&b=2" ||
					r.Header.Get("X-Test") != "yes" {
					t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, body)
				}
				_, _ = w.Write([]byte(`{"id":"x"}`))
			})
			if c.call.Header == nil {
				c.call.Header = http.Header{}
			}
			c.call.URL, c.call.Query = s.URL+"?a=1", url.Values{"b": {"2"}}
			c.call.Header.Set("X-Test", "yes")
			var into struct{ ID string }
			a, err := s.remote(t, nil).Call(t.Context(), "", c.call, &into)
			noError(t, err)
			if into.ID != "x" || a.Status != 200 || a.Read != (c.method == "GET") {
				t.Errorf("decoded %+v of %+v", into, a)
			}
		})
	}
}

func TestEnvelopeDecidesWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	envelope := func(a *remote.Answer) error {
		var e struct {
			Success bool
			Result  json.RawMessage
			Error   string
		}
		switch err := json.Unmarshal(a.Body, &e); {
		case err != nil:
			return errors.New("not an envelope")
		case e.Error == "exists":
			return &fault.Error{Class: fault.ClassAlreadyExists, Hint: "choose another name", Err: errors.New(e.Error)}
		case !e.Success:
			return errors.New(e.Error)
		}
		a.Data = e.Result
		return nil
	}
	for name, c := range map[string]struct {
		status int
		body   string
		class  fault.Class
		text   string
	}{
		"success":                    {200, `{"success":true,"result":{"id":"x"}}`, "", ""},
		"refused with a class":       {200, `{"error":"exists"}`, fault.ClassAlreadyExists, "/: exists (choose another name)"},
		"refused with the status":    {403, `{"error":"not yours"}`, fault.ClassForbidden, "HTTP 403: not yours (check what the credentials may do)"},
		"not an envelope":            {200, `hello`, fault.ClassUnknownOutcome, "not an envelope (the server may have made the change)"},
		"an error status without it": {502, `<html>`, fault.ClassUnknownOutcome, "HTTP 502: not an envelope (the server"},
		"success with status 500":    {500, `{"success":true}`, fault.ClassUnknownOutcome, "HTTP 500: Internal Server Error"},
		"data that does not fit":     {200, `{"success":true,"result":{"id":12345}}`, fault.ClassUnknownOutcome, `a number in field "id" does not fit string`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answer(c.status, c.body))
			r := s.remote(t, func(c *remote.Config) { c.Envelope = envelope })
			var into struct {
				ID string `json:"id"`
			}
			_, err := r.Call(t.Context(), "", remote.Call{Method: "POST", URL: s.URL}, &into)
			if c.class == "" {
				noError(t, err)
				if into.ID != "x" {
					t.Errorf("decoded %+v", into)
				}
				return
			}
			if err == nil || fault.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "12345") {
				t.Errorf("class %s, want %s with %q: %v", fault.ClassOf(err), c.class, c.text, err)
			}
		})
	}
}

func TestCallThatCannotBeSentSaysWhy(t *testing.T) {
	t.Parallel()
	type body struct{ Password secret.Secret }
	for want, call := range map[string]remote.Call{
		"is not absolute":           {URL: "/things"},
		"method or the URL":         {URL: "https://a.example", Method: "A B"},
		"a form and JSON":           {URL: "https://a.example", Form: url.Values{}, JSON: 1},
		"contains a secret.Secret":  {URL: "https://a.example", JSON: body{secret.New("x")}},
		"encode the body":           {URL: "https://a.example", JSON: func() {}},
		"its URL is not absolute; ": {URL: "https://user:pass word@a.example\x00"},
	} {
		_, err := (&server{}).remote(t, nil).Call(t.Context(), "", call, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pass word") {
			t.Errorf("error %v, want %q", err, want)
		}
		if class := fault.ClassOf(err); class != fault.ClassConfig && class != fault.ClassPermanent {
			t.Errorf("class %s, want one that is not retried: %v", class, err)
		}
	}
}
