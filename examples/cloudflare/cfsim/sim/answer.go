package sim

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// answer is an answer in the envelope of the API.
type answer struct {
	status int
	result any
	info   *resultInfo // of a list
	errors []apiError
}

type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// resultInfo describes one page of a list.
type resultInfo struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
	TotalPages int `json:"total_pages"`
}

func succeeded(result any) answer { return answer{status: http.StatusOK, result: result} }

func failed(status, code int, message string) answer {
	return answer{status: status, errors: []apiError{{code, message}}}
}

// noRoute is the answer for a path with an unknown zone, and for an unknown path.
func noRoute(path string) answer {
	a := failed(http.StatusNotFound, 7003, "Could not route to "+path+", perhaps your object identifier is invalid?")
	a.errors = append(a.errors, apiError{7000, "No route for that URI"})
	return a
}

// body returns the answer as JSON.
func (a answer) body() []byte {
	errors := a.errors
	if errors == nil {
		errors = []apiError{}
	}
	envelope := map[string]any{"result": a.result, "success": len(a.errors) == 0, "errors": errors, "messages": []string{}}
	if a.info != nil {
		envelope["result_info"] = a.info
	}
	text, _ := json.Marshal(envelope)
	return append(text, '\n')
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body())
}

// pageOf returns the page of a list that a call asks for. A page may have up to most elements.
func pageOf[T any](r request, all []T, usual, most int) answer {
	page, _ := strconv.Atoi(r.FormValue("page"))
	size, _ := strconv.Atoi(r.FormValue("per_page"))
	if page < 1 {
		page = 1
	}
	if size < 1 {
		size = usual
	}
	size = min(size, most)
	from := min((page-1)*size, len(all))
	list := append([]T{}, all[from:min(from+size, len(all))]...)
	a := succeeded(list)
	a.info = &resultInfo{Page: page, PerPage: size, Count: len(list), TotalCount: len(all), TotalPages: (len(all) + size - 1) / size}
	return a
}
