package site

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestOnlyRefusedFormsAreHandledAgain(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{
		http.StatusSeeOther: 1, http.StatusOK: 1, http.StatusInternalServerError: 1, http.StatusServiceUnavailable: 1,
		http.StatusUnprocessableEntity: 2, http.StatusConflict: 2, http.StatusNotFound: 2,
	} {
		calls := 0
		forms := &once{forms: map[string]*sentForm{}}
		handler := forms.handle(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.WriteHeader(status)
		}))
		for range 2 {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sync", nil)
			request.PostForm = url.Values{"token": {"token-of-a-form-0001"}}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != status {
				t.Errorf("a form that is answered with %d gets %d", status, answer.Code)
			}
		}
		if calls != want {
			t.Errorf("status %d: a form that is sent twice is handled %d times, want %d", status, calls, want)
		}
	}
}
