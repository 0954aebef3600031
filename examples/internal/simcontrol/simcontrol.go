// Package simcontrol has what the control APIs of the examples' simulated services share.
package simcontrol

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"mime"
	"net/http"
)

// Protect passes on requests that have the control API's token, and whose body is JSON. A page of another
// site can send neither without asking first: a browser adds no Authorization header by itself, and asks the
// server before it sends JSON.
func Protect(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, want := sha256.Sum256([]byte(r.Header.Get("Authorization"))), sha256.Sum256([]byte("Bearer "+token))
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

// Decode decodes the JSON of a request. If the JSON is invalid, Decode answers with status 400 and returns
// false.
func Decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// WriteResult answers with status 204, or with status 400 and the error.
func WriteResult(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Write answers with a value as JSON.
func Write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
