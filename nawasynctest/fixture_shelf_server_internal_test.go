package nawasynctest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nawasara/nawasync"
)

// book is the snapshot struct of the tests of TestRemote.
type book struct {
	ID     uint64
	Shelf  string `sync:"scope"`
	Number string `sync:"key"`
	Title  string `sync:"natural"`
	Note   string
	Copies int
	Pin    nawasync.Secret `gorm:"-" sync:"secret"`
	nawasync.SyncStatus
}

const (
	shelfToken    = "token-9f8e7d6c5b"
	shelfPageSize = 3
)

// shelfBook is a book as the API of the tests sends it. The server stores titles in lower case.
type shelfBook struct {
	ID      string  `json:"id,omitempty"`
	Title   *string `json:"title,omitempty"`
	Note    *string `json:"note,omitempty"`
	Copies  *int    `json:"copies,omitempty"`
	Pin     string  `json:"pin,omitempty"`
	Version int     `json:"version,omitempty"`
}

// shelfServer is an API with shelves of books. Another client changes them with its methods.
type shelfServer struct {
	mu      sync.Mutex
	shelves map[string][]*shelfBook
	changes []string // ids
	next    int
	tasks   []*shelfTask // writes that were accepted
}

var errShelf = errors.New("the shelf has no such book")

func newShelfServer() *shelfServer {
	return &shelfServer{shelves: map[string][]*shelfBook{"fiction": {}, "travel": {}}}
}

func (s *shelfServer) find(shelf, id string) *shelfBook {
	for _, b := range s.shelves[shelf] {
		if b.ID == id {
			return b
		}
	}
	return nil
}

func (s *shelfServer) apply(b *shelfBook, to shelfBook) {
	if to.Title != nil {
		b.Title = new(strings.ToLower(*to.Title))
	}
	if to.Note != nil {
		b.Note = to.Note
	}
	if to.Copies != nil {
		b.Copies = to.Copies
	}
	b.Version++
	s.changes = append(s.changes, b.ID)
}

func (s *shelfServer) add(shelf string, from shelfBook) (*shelfBook, bool) {
	for _, b := range s.shelves[shelf] {
		if *b.Title == strings.ToLower(*from.Title) {
			return nil, false
		}
	}
	s.next++
	b := &shelfBook{ID: strconv.Itoa(s.next), Note: new(""), Copies: new(0)}
	s.apply(b, from)
	s.shelves[shelf] = append(s.shelves[shelf], b)
	return b, true
}

func (s *shelfServer) remove(shelf, id string) bool {
	before := len(s.shelves[shelf])
	s.shelves[shelf] = slices.DeleteFunc(s.shelves[shelf], func(b *shelfBook) bool { return b.ID == id })
	s.changes = append(s.changes, id)
	return len(s.shelves[shelf]) < before
}

// behind returns the functions of another client.
func (s *shelfServer) behind() RemoteServer[book] {
	wire := func(b book) shelfBook { return shelfBook{Title: &b.Title, Note: &b.Note, Copies: &b.Copies} }
	return RemoteServer[book]{
		Create: func(b book) (book, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			stored, ok := s.add(b.Shelf, wire(b))
			if !ok {
				return b, fmt.Errorf("the shelf already has %s", b.Title)
			}
			b.Number = stored.ID
			return b, nil
		},
		Change: func(b book) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			stored := s.find(b.Shelf, b.Number)
			if stored == nil {
				return errShelf
			}
			s.apply(stored, wire(b))
			return nil
		},
		Delete: func(b book) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.remove(b.Shelf, b.Number) {
				return errShelf
			}
			return nil
		},
	}
}

// ServeHTTP serves /{shelf}, /{shelf}/changes, /{shelf}/books and /{shelf}/books/{id}.
func (s *shelfServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.carryOut(len(s.tasks))
	s.answer(w, r)
}

func (s *shelfServer) answer(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	shelf := parts[0]
	list, exists := s.shelves[shelf]
	var in shelfBook
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&in)
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+shelfToken && r.URL.Query().Get("token") != shelfToken:
		w.WriteHeader(http.StatusUnauthorized)
	case !exists:
		w.WriteHeader(http.StatusNotFound)
	case len(parts) == 1:
		reply(w, map[string]any{"shelf": shelf})
	case r.URL.Query().Get("later") != "":
		s.postpone(w, r, in)
	case parts[1] == "tasks":
		s.task(w, parts[2])
	case parts[1] == "changes":
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		reply(w, map[string]any{"changes": s.changes[min(after, len(s.changes)):], "last": len(s.changes)})
	case len(parts) == 2 && r.Method == http.MethodGet:
		s.list(w, r, list)
	case len(parts) == 2:
		if b, ok := s.add(shelf, in); ok {
			reply(w, b)
			return
		}
		w.WriteHeader(http.StatusConflict)
	default:
		s.one(w, r, shelf, parts[2], in)
	}
}

func (s *shelfServer) list(w http.ResponseWriter, r *http.Request, list []*shelfBook) {
	if title := r.URL.Query().Get("title"); title != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(b *shelfBook) bool { return *b.Title != strings.ToLower(title) })
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	start := min(page*shelfPageSize, len(list))
	reply(w, map[string]any{"books": list[start:min(start+shelfPageSize, len(list))], "total": len(list), "more": start+shelfPageSize < len(list)})
}

func (s *shelfServer) one(w http.ResponseWriter, r *http.Request, shelf, id string, in shelfBook) {
	b := s.find(shelf, id)
	switch version := r.Header.Get("If-Match"); {
	case b == nil:
		w.WriteHeader(http.StatusNotFound)
	case version != "" && version != strconv.Itoa(b.Version):
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPatch:
		s.apply(b, in)
		reply(w, b)
	case r.Method == http.MethodDelete:
		s.remove(shelf, id)
		w.WriteHeader(http.StatusNoContent)
	default:
		reply(w, b)
	}
}

func reply(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

// directTransport sends requests to a handler without a connection.
type directTransport struct{ http.Handler }

func (t directTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	recorder := httptest.NewRecorder()
	t.ServeHTTP(recorder, req)
	return recorder.Result(), nil
}
