package mirror_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// bookList is an address book that can only be listed.
type bookList struct{ mirror.Lister[contact] }

// What the remote cannot do has no handler, and the method returns an error.
func ExampleLister() {
	book := &addressBook{}
	_, contacts, _, stop := exampleBook(book, mirror.Config[contact]{Remote: bookList{book}})
	defer stop()
	_, err := contacts.Create(context.Background(), contact{Email: "bob@example.org"}, nawasync.Options{})
	fmt.Println(errors.Is(err, errors.ErrUnsupported), err)
	// Output:
	// true book/contact/create: the Remote has no method Create: unsupported operation
}

// The remote has a new contact. A refresh by its key adds the row, without a sync.
func ExampleNew_refreshKey() {
	book := &addressBook{}
	_, contacts, events, stop := exampleBook(book, mirror.Config[contact]{Remote: book})
	defer stop()
	book.set("bob@example.org", "555-2")
	ctx := context.Background()
	_, _ = contacts.RefreshKey(ctx, contact{Email: "bob@example.org"}, nawasync.Options{Source: nawasync.SourceEvent})
	event := <-events
	bob, _ := contacts.FindKey(ctx, contact{Email: "bob@example.org"})
	fmt.Println(event.Type, string(event.Job.Result), bob.Phone, bob.State)
	// Output:
	// succeeded {"created":1} 555-2 synced
}

// loggingBook is a remote with a log of the addresses that were changed. A cursor is a position in it.
type loggingBook struct {
	*addressBook

	log []string
}

// Changes implements mirror.ChangesRemote.
func (b *loggingBook) Changes(_ context.Context, _ contact, cursor string) iter.Seq2[mirror.Change[contact], error] {
	return func(yield func(mirror.Change[contact], error) bool) {
		from := len(b.log)
		if cursor != "" {
			from, _ = strconv.Atoi(cursor)
		}
		for _, email := range b.log[from:] {
			if !yield(mirror.Change[contact]{Key: contact{Email: email}}, nil) {
				return
			}
		}
		yield(mirror.Change[contact]{Cursor: strconv.Itoa(len(b.log))}, nil)
	}
}

// The first job has no place in the feed, and dispatches a sync. The second one refreshes what the feed names.
// A real application dispatches them by a schedule: Engine.Schedule.
func ExampleChangesRemote() {
	book := &loggingBook{addressBook: &addressBook{}}
	engine, contacts, events, stop := exampleBook(book.addressBook, mirror.Config[contact]{Remote: book})
	defer stop()
	ctx := context.Background()
	args, err := contacts.ChangesArgs(contact{})
	_, _ = engine.Dispatch(ctx, args, nawasync.Options{})
	one, other := (<-events).Job, (<-events).Job
	fmt.Println(err, min(one.Action, other.Action), max(one.Action, other.Action))

	book.set("ann@example.org", "555-7")
	book.log = append(book.log, "ann@example.org", "ann@example.org")
	_, _ = engine.Dispatch(ctx, args, nawasync.Options{})
	one, other = (<-events).Job, (<-events).Job
	fmt.Println(min(one.Action, other.Action), max(one.Action, other.Action))
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	fmt.Println(ann.Phone)
	// Output:
	// <nil> changes sync
	// changes refresh
	// 555-7
}

// bookEvents maps the body of a request to keys.
func bookEvents(_ *http.Request, body []byte) ([]contact, error) {
	var event struct{ Email string }
	err := json.Unmarshal(body, &event)
	return []contact{{Email: event.Email}}, err
}

// sendEvent sends a request to a webhook, and returns the status.
func sendEvent(handler http.Handler, body, signature string) int {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/book", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Webhook-Signature", signature)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

// The remote signs each request with the time and a shared secret.
func ExampleWebhook() {
	book := &addressBook{}
	_, contacts, events, stop := exampleBook(book, mirror.Config[contact]{Remote: book})
	defer stop()
	webhook := mirror.Webhook[contact]{Secrets: []nawasync.Secret{nawasync.NewSecret("the secret of the webhook")}, Keys: bookEvents}
	handler, err := webhook.Handler(contacts) // http.Handle("POST /webhooks/book", handler)
	fmt.Println(err)

	book.set("ann@example.org", "555-8")
	body := `{"id":"evt-1","email":"ann@example.org"}`
	fmt.Println(sendEvent(handler, body, webhook.Sign(time.Now(), []byte(body))))
	fmt.Println((<-events).Job.Action)
	ann, _ := contacts.FindKey(context.Background(), contact{Email: "ann@example.org"})
	fmt.Println(ann.Phone)
	// Output:
	// <nil>
	// 204
	// refresh
	// 555-8
}

// A request is refused unless its signature is that of its body, and at most 5 minutes old.
func ExampleWebhook_Sign() {
	book := &addressBook{}
	_, contacts, _, stop := exampleBook(book, mirror.Config[contact]{Remote: book})
	defer stop()
	webhook := mirror.Webhook[contact]{Secrets: []nawasync.Secret{nawasync.NewSecret("the secret of the webhook")}, Keys: bookEvents}
	handler, _ := webhook.Handler(contacts)
	body := []byte(`{"email":"ann@example.org"}`)
	fmt.Println(sendEvent(handler, string(body), webhook.Sign(time.Now(), []byte("another body"))))
	fmt.Println(sendEvent(handler, string(body), webhook.Sign(time.Now().Add(-10*time.Minute), body)))
	fmt.Println(webhook.Sign(time.Unix(1700000000, 0), body))
	// Output:
	// 401
	// 401
	// time=1700000000,sig1=6dd33b4ba7ad3363b6c316615e0a64f18256e382b1cf02fbe8f0c9c9a05c53eb
}

func githubSignature(body []byte) string {
	mac := hmac.New(sha256.New, []byte("the secret of the webhook"))
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// GitHub signs the body alone. What identifies a request is the signature.
func ExampleWebhook_Handler() {
	book := &addressBook{}
	_, contacts, _, stop := exampleBook(book, mirror.Config[contact]{Remote: book})
	defer stop()
	handler, err := mirror.Webhook[contact]{Keys: bookEvents, Verify: func(r *http.Request, body []byte) (string, error) {
		got := r.Header.Get("Webhook-Signature")
		if !hmac.Equal([]byte(got), []byte(githubSignature(body))) {
			return "", errors.New("wrong signature")
		}
		return got, nil
	}}.Handler(contacts)
	fmt.Println(err)
	body := `{"email":"ann@example.org"}`
	fmt.Println(sendEvent(handler, body, "sha256=0"))
	fmt.Println(sendEvent(handler, body, githubSignature([]byte(body))))
	// Output:
	// <nil>
	// 401
	// 204
}
