package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// answer is an answer of the API.
type answer struct {
	status   int
	body     any // nil is none
	location string
}

func failed(status int, text string) answer {
	return answer{status: status, body: map[string]string{"error": text}}
}

func described(status int, code, text string) answer {
	return answer{status: status, body: map[string]string{"error": code, "error_description": text}}
}

// exists is the answer to a change that would make two objects of one name.
func exists(format string, args ...any) answer {
	return answer{status: http.StatusConflict, body: map[string]string{"errorMessage": fmt.Sprintf(format, args...)}}
}

func (a answer) text() []byte {
	if a.body == nil {
		return nil
	}
	text, _ := json.Marshal(a.body)
	return text
}

func (a answer) write(w http.ResponseWriter) {
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.text())
}

// refused is the answer to a call that the service account may not make.
var refused = failed(http.StatusForbidden, "HTTP 403 Forbidden")
