package nawasynctest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"

	"github.com/nawasara/nawasync/mirror"
)

// shelfTask is a write that the server has accepted.
type shelfTask struct {
	request *http.Request
	done    bool
	status  int
}

// postpone accepts a write, which is carried out after the next request.
func (s *shelfServer) postpone(w http.ResponseWriter, r *http.Request, in shelfBook) {
	body, _ := json.Marshal(in)
	later := r.Clone(context.WithoutCancel(r.Context()))
	later.URL.RawQuery, later.Body = "", io.NopCloser(bytes.NewReader(body))
	s.tasks = append(s.tasks, &shelfTask{request: later})
	w.WriteHeader(http.StatusAccepted)
	reply(w, map[string]any{"task": strconv.Itoa(len(s.tasks) - 1)})
}

// carryOut carries out the first n tasks.
func (s *shelfServer) carryOut(n int) {
	for _, task := range s.tasks[:n] {
		if !task.done {
			recorder := httptest.NewRecorder()
			s.answer(recorder, task.request)
			task.done, task.status = true, recorder.Code
		}
	}
}

func (s *shelfServer) task(w http.ResponseWriter, id string) {
	n, err := strconv.Atoi(id)
	if err != nil || n >= len(s.tasks) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	reply(w, map[string]any{"done": s.tasks[n].done, "status": s.tasks[n].status})
}

// slowShelf is shelfRemote for a server that carries writes out later. fault names what it does wrong.
type slowShelf struct {
	*shelfRemote

	slowFault string
}

func (r *slowShelf) accept(ctx context.Context, c shelfCall) error {
	var answer struct {
		Task string `json:"task"`
	}
	c.query, c.into = url.Values{"later": {"yes"}}, &answer
	if err := r.call(ctx, c); err != nil {
		return err
	}
	return mirror.Accepted(c.path + " " + answer.Task)
}

func (r *slowShelf) Create(ctx context.Context, want book) (o mirror.Object[book], err error) {
	return o, r.accept(ctx, shelfCall{
		method: "POST", path: want.Shelf + "/books", body: shelfBook{Title: &want.Title, Note: &want.Note, Copies: &want.Copies, Pin: want.Pin.Reveal()},
	})
}

func (r *slowShelf) Update(ctx context.Context, current mirror.Object[book], want book, touched mirror.FieldDiff) (o mirror.Object[book], err error) {
	defer r.forget(want.Number)
	var in shelfBook
	if touched.Has("title") {
		in.Title = &want.Title
	}
	if touched.Has("note") {
		in.Note = &want.Note
	}
	if touched.Has("copies") {
		in.Copies = &want.Copies
	}
	if touched.Has("pin") {
		in.Pin = want.Pin.Reveal()
	}
	return o, r.accept(ctx, shelfCall{method: "PATCH", path: want.Shelf + "/books/" + want.Number, body: in, version: current.Version})
}

func (r *slowShelf) Delete(ctx context.Context, key book) error {
	defer r.forget(key.Number)
	return r.accept(ctx, shelfCall{method: "DELETE", path: key.Shelf + "/books/" + key.Number})
}

// Poll implements mirror.PollingRemote.
func (r *slowShelf) Poll(ctx context.Context, key book, handle string) error {
	var path, id string
	if _, err := fmt.Sscan(handle, &path, &id); err != nil {
		return err
	}
	switch r.slowFault {
	case "poll ends too early":
		return nil
	case "poll writes":
		_ = r.call(ctx, shelfCall{method: "PATCH", path: path + "/again"})
	}
	var answer struct {
		Done   bool `json:"done"`
		Status int  `json:"status"`
	}
	err := r.call(ctx, shelfCall{method: "GET", path: key.Shelf + "/tasks/" + id, into: &answer})
	switch {
	case err != nil && r.slowFault == "poll hides errors":
		return nil
	case err != nil && r.slowFault == "poll takes errors for busy":
		return mirror.Accepted(handle)
	case err != nil:
		return err
	case !answer.Done, r.slowFault == "poll never ends":
		return mirror.Accepted(handle)
	case answer.Status >= 300:
		return r.statusError(&http.Response{Status: strconv.Itoa(answer.Status), StatusCode: answer.Status}, true, "")
	}
	return nil
}

// limitedShelf is shelfRemote with a limit scope. limitFault names what it does wrong.
type limitedShelf struct {
	*shelfRemote

	limitFault string
	asked      int
}

// LimitScope implements mirror.LimitRemote.
func (r *limitedShelf) LimitScope(scope book) book {
	r.asked++
	switch {
	case r.limitFault == "limit scope changed":
		scope.Shelf += " of ours"
	case r.limitFault == "limit scope with other fields":
		scope.Title = "all"
	case r.limitFault == "limit scope varies" && r.asked > 1:
		scope = book{}
	case r.limitFault == "limit scope by a call":
		_ = r.call(context.Background(), shelfCall{method: "GET", path: scope.Shelf})
	}
	return scope
}
