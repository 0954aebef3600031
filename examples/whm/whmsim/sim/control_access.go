package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net/http"
)

// ControlToken returns the token that requests to the control API need.
func (s *Server) ControlToken() string { return s.controlToken }

// protectControl passes on requests that have the control API's token, and whose body is JSON. A page of
// another site can send neither without asking first: a browser adds no Authorization header by itself,
// and asks the server before it sends JSON.
func (s *Server) protectControl(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, want := sha256.Sum256([]byte(r.Header.Get("Authorization"))), sha256.Sum256([]byte("Bearer "+s.controlToken))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "Send the header Authorization: Bearer TOKEN, with the token that the program printed when it started.", http.StatusUnauthorized)
			return
		}
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if hasBody := r.Method == http.MethodPost || r.Method == http.MethodPut; hasBody && (err != nil || kind != "application/json") {
			http.Error(w, "Send JSON, with the header Content-Type: application/json.", http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}
