package nawasynctest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// shelfRemote is an adapter of the API of shelfServer. fault names what it does wrong; "" is nothing.
type shelfRemote struct {
	client *http.Client
	fault  string

	mu    sync.Mutex
	cache map[string]mirror.Object[book]
	last  string // number of the last book that was asked for
}

// shelfCall is one request.
type shelfCall struct {
	method, path string
	query        url.Values
	body, into   any
	version      string
}

func (r *shelfRemote) call(ctx context.Context, c shelfCall) error {
	var body []byte
	if c.body != nil {
		body, _ = json.Marshal(c.body)
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	if r.fault == "background context" {
		ctx = context.WithoutCancel(ctx)
	}
	write := c.method != http.MethodGet
	if r.fault == "token in URL" && c.query == nil {
		c.query = url.Values{"token": {shelfToken}}
	}
	req, err := http.NewRequestWithContext(ctx, c.method, "http://shelf.example/"+c.path+"?"+c.query.Encode(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+shelfToken)
	if c.version != "" && r.fault != "no If-Match" {
		req.Header.Set("If-Match", c.version)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return r.unanswered(write, sent.Load(), err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return r.unanswered(write, true, err)
	}
	if resp.StatusCode >= 300 {
		return r.statusError(resp, write, string(text))
	}
	if c.into == nil || r.fault == "accepts HTML" && json.Unmarshal(text, c.into) != nil {
		return nil
	}
	if err := json.Unmarshal(text, c.into); err != nil {
		return r.unanswered(write, true, errors.New("the answer is not JSON"))
	}
	return nil
}

func (r *shelfRemote) unanswered(write, sent bool, err error) error {
	text := errors.New("the connection failed")
	if errors.Is(err, context.Canceled) {
		text = errors.New("the call was cancelled")
	}
	switch {
	case write && sent && r.fault == "lost is transient":
	case write && (sent || r.fault == "unsent is unknown"):
		return fault.WithClass(fault.ClassUnknownOutcome, text)
	}
	return fault.WithClass(fault.ClassTransient, text)
}

func (r *shelfRemote) statusError(resp *http.Response, write bool, body string) error {
	text := fmt.Errorf("HTTP %s", resp.Status)
	if r.fault == "body in errors" {
		text = fmt.Errorf("HTTP %s: %s", resp.Status, body)
	}
	class := map[int]fault.Class{
		401: fault.ClassCredentials, 403: fault.ClassForbidden, 404: fault.ClassGone, 409: fault.ClassAlreadyExists,
		412: fault.ClassConflict, 429: fault.ClassRateLimited,
	}[resp.StatusCode]
	for name, other := range map[string]map[int]fault.Class{
		"500 is permanent": {500: fault.ClassPermanent}, "401 is permanent": {401: fault.ClassPermanent}, "403 is credentials": {403: fault.ClassCredentials},
		"409 is permanent": {409: fault.ClassPermanent}, "429 is transient": {429: fault.ClassTransient},
	} {
		if changed := other[resp.StatusCode]; name == r.fault && changed != "" {
			class = changed
		}
	}
	switch {
	case class == fault.ClassRateLimited:
		return &fault.Error{Class: class, RetryAfter: r.retryAfter(resp.Header.Get("Retry-After")), Err: text}
	case class == "" && resp.StatusCode >= 500 && write:
		class = fault.ClassUnknownOutcome
	case class == "" && resp.StatusCode >= 500:
		class = fault.ClassTransient
	case class == "":
		class = fault.ClassPermanent
	}
	return fault.WithClass(class, text)
}

func (r *shelfRemote) retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil && r.fault != "Retry-After in seconds only" {
		return time.Until(at)
	}
	return time.Minute
}

func (r *shelfRemote) objectOf(shelf string, b shelfBook) (o mirror.Object[book], err error) {
	if b.ID == "" || b.Title == nil || b.Note == nil || b.Copies == nil {
		return o, fault.WithClass(fault.ClassTransient, errors.New("the answer has no book"))
	}
	o.Value = book{Shelf: shelf, Number: b.ID, Title: *b.Title, Note: *b.Note, Copies: *b.Copies}
	o.Version = strconv.Itoa(b.Version)
	if r.fault == "whole document" {
		o.Version = ""
	}
	return o, nil
}

type shelfPage struct {
	Books *[]shelfBook `json:"books"`
	Total int64        `json:"total"`
	More  bool         `json:"more"`
}

func (r *shelfRemote) List(ctx context.Context, scope book, _ string) iter.Seq2[mirror.Page[book], error] {
	return r.ListFrom(ctx, scope, "", "0")
}

func (r *shelfRemote) ListFrom(ctx context.Context, scope book, _, cursor string) iter.Seq2[mirror.Page[book], error] {
	return func(yield func(mirror.Page[book], error) bool) {
		start, _ := strconv.Atoi(cursor)
		if start > 0 && r.fault == "repeats the page of the cursor" {
			start--
		}
		for n := start; ; n++ {
			page, more, err := r.page(ctx, scope.Shelf, n)
			switch {
			case err != nil && n > 0 && r.fault == "stops at a failing page":
				return
			case fault.ClassOf(err) == fault.ClassGone && r.fault == "gone scope is empty":
				err = nil
			}
			if !yield(page, err) && r.fault != "goes on" || err != nil || !more {
				return
			}
		}
	}
}

func (r *shelfRemote) page(ctx context.Context, shelf string, n int) (out mirror.Page[book], more bool, err error) {
	out.Proof.Level = mirror.ProofCounted
	if r.fault == "scope ignored" {
		shelf = "fiction"
	}
	var answer shelfPage
	if r.fault == "accepts HTML" {
		answer.Books = &[]shelfBook{}
	}
	if err := r.call(ctx, shelfCall{method: "GET", path: shelf + "/books", query: url.Values{"page": {strconv.Itoa(n)}}, into: &answer}); err != nil {
		return out, false, err
	}
	if answer.Books == nil {
		return out, false, fault.WithClass(fault.ClassTransient, errors.New("the answer has no books"))
	}
	for _, b := range *answer.Books {
		o, err := r.objectOf(shelf, b)
		if err != nil {
			return out, false, err
		}
		if r.fault == "listing without notes" {
			o.Value.Note = ""
		}
		out.Items = append(out.Items, o.Value)
	}
	out.Proof.Total = answer.Total
	switch r.fault {
	case "wrong total":
		out.Proof.Total++
	case "no proof":
		out.Proof = mirror.Proof{}
	case "first page only":
		out.Proof, answer.More = mirror.Proof{Level: mirror.ProofExhausted}, false
	}
	if out.Cursor = strconv.Itoa(n + 1); !answer.More {
		out.Cursor = ""
	}
	return out, answer.More, nil
}

func (r *shelfRemote) Get(ctx context.Context, key book) (o mirror.Object[book], err error) {
	if key.Number == "" {
		return r.byTitle(ctx, key)
	}
	r.mu.Lock()
	cached, found := r.cache[key.Number]
	r.last = key.Number
	r.mu.Unlock()
	if found && r.fault == "cached Get" {
		return cached, nil
	}
	var b shelfBook
	if err := r.call(ctx, shelfCall{method: "GET", path: key.Shelf + "/books/" + key.Number, into: &b}); err != nil {
		return o, err
	}
	if o, err = r.objectOf(key.Shelf, b); err != nil {
		return o, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == "shared state" {
		o.Value.Number = r.last
	}
	if r.cache == nil {
		r.cache = map[string]mirror.Object[book]{}
	}
	r.cache[key.Number] = o
	return o, nil
}

func (r *shelfRemote) byTitle(ctx context.Context, key book) (o mirror.Object[book], err error) {
	var answer shelfPage
	if err := r.call(ctx, shelfCall{method: "GET", path: key.Shelf + "/books", query: url.Values{"title": {key.Title}}, into: &answer}); err != nil {
		return o, err
	}
	if answer.Books != nil && len(*answer.Books) > 0 {
		return r.objectOf(key.Shelf, (*answer.Books)[0])
	}
	class := fault.ClassGone
	if r.fault == "gone is permanent" || answer.Books == nil {
		class = fault.ClassPermanent
	}
	return o, fault.WithClass(class, errors.New("no book has the title"))
}

func (r *shelfRemote) forget(number string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cache, number)
}

func (r *shelfRemote) Create(ctx context.Context, want book) (o mirror.Object[book], err error) {
	in := shelfBook{Title: &want.Title, Note: &want.Note, Copies: &want.Copies, Pin: want.Pin.Reveal()}
	if r.fault == "drops zero" && want.Copies == 0 {
		in.Copies = nil
	}
	var b shelfBook
	send := shelfCall{method: "POST", path: want.Shelf + "/books", body: in, into: &b}
	err = r.call(ctx, send)
	if err != nil && r.fault == "repeats writes" {
		err = r.call(ctx, send)
	}
	if fault.ClassOf(err) == fault.ClassAlreadyExists && r.fault == "overwrites" {
		return r.byTitle(ctx, want)
	}
	if err != nil {
		return o, err
	}
	if o, err = r.objectOf(want.Shelf, b); r.fault == "created without key" {
		o.Value.Number = ""
	}
	if r.fault == "secret in the row" {
		o.Value.Note = want.Pin.Reveal()
	}
	return o, err
}

func (r *shelfRemote) Update(ctx context.Context, current mirror.Object[book], want book, touched mirror.FieldDiff) (o mirror.Object[book], err error) {
	defer r.forget(want.Number)
	var in shelfBook
	whole := r.fault == "whole document"
	if touched.Has("title") || whole {
		in.Title = &want.Title
	}
	if touched.Has("note") || whole {
		in.Note = &want.Note
	}
	if touched.Has("copies") && (want.Copies != 0 || r.fault != "drops zero") || whole {
		in.Copies = &want.Copies
	}
	if touched.Has("pin") {
		if r.fault == "refuses secrets" {
			return o, fault.WithClass(fault.ClassPermanent, errors.New("the field pin is unknown"))
		}
		in.Pin = want.Pin.Reveal()
	}
	var b shelfBook
	err = r.call(ctx, shelfCall{method: "PATCH", path: want.Shelf + "/books/" + want.Number, body: in, into: &b, version: current.Version})
	switch {
	case fault.ClassOf(err) == fault.ClassGone && r.fault == "gone update is permanent":
		return o, fault.WithClass(fault.ClassPermanent, errors.New("nothing was updated"))
	case err != nil && r.fault == "other context":
		_, _ = r.Get(context.Background(), want)
	}
	if err != nil {
		return o, err
	}
	return r.objectOf(want.Shelf, b)
}

func (r *shelfRemote) Delete(ctx context.Context, key book) error {
	defer r.forget(key.Number)
	path := key.Shelf + "/books/" + key.Number
	err := r.call(ctx, shelfCall{method: "DELETE", path: path})
	if fault.ClassOf(err) == fault.ClassGone && r.fault == "gone deletion succeeds" {
		return nil
	}
	if err == nil && r.fault == "deletes too much" {
		var answer shelfPage
		_ = r.call(ctx, shelfCall{method: "GET", path: key.Shelf + "/books", into: &answer})
		for _, b := range *answer.Books {
			_ = r.call(ctx, shelfCall{method: "DELETE", path: key.Shelf + "/books/" + b.ID})
		}
	}
	return err
}

func (r *shelfRemote) ScopeExists(ctx context.Context, scope book) (bool, error) {
	err := r.call(ctx, shelfCall{method: "GET", path: scope.Shelf})
	if fault.ClassOf(err) == fault.ClassGone || err != nil && strings.Contains(err.Error(), "500") && r.fault == "no scope on errors" {
		return false, nil
	}
	return err == nil, err
}

func (r *shelfRemote) CheckCredentials(ctx context.Context, scope book) error {
	if r.fault == "credentials unchecked" {
		return nil
	}
	return r.call(ctx, shelfCall{method: "GET", path: scope.Shelf})
}

func (r *shelfRemote) Changes(ctx context.Context, scope book, cursor string) iter.Seq2[mirror.Change[book], error] {
	return func(yield func(mirror.Change[book], error) bool) {
		var answer struct {
			Changes []string `json:"changes"`
			Last    int      `json:"last"`
		}
		if err := r.call(ctx, shelfCall{method: "GET", path: scope.Shelf + "/changes", query: url.Values{"after": {cursor}}, into: &answer}); err != nil {
			if r.fault != "feed hides errors" {
				yield(mirror.Change[book]{}, err)
			}
			return
		}
		slices.Sort(answer.Changes)
		if r.fault == "feed without deletions" {
			answer.Changes = answer.Changes[min(1, len(answer.Changes)):]
		}
		for _, id := range answer.Changes {
			if !yield(mirror.Change[book]{Key: book{Number: id}}, nil) {
				return
			}
		}
		yield(mirror.Change[book]{Cursor: strconv.Itoa(answer.Last)}, nil)
	}
}
