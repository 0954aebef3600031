package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
)

const (
	maxWebhookBody = 1 << 20
	maxWebhookKeys = 1000
	// maxDeliveries is how many accepted requests are remembered. Beyond that, further ones get 503.
	maxDeliveries = 100_000
	// countInterval is how often a process counts them.
	countInterval = 10 * time.Second
	// webhookTimeout is how long the database may take.
	webhookTimeout = 10 * time.Second
)

// Webhook receives the signed requests with which a remote says that objects have changed. Secrets or Verify,
// and Keys, are required.
//
// By default a request is signed in the header Webhook-Signature, as "time=1700000000,sig1=2f6a…" or
// "t=1700000000,v1=2f6a…": the hexadecimal HMAC-SHA256 of the time, a dot and the body. The time may be 5 minutes
// off. The header may have several signatures.
type Webhook[T any] struct {
	// Secrets are the keys of the signatures. A request is accepted with any of them, so that a new one
	// can be introduced before the old one is removed. Each has at least 16 bytes. Name them in
	// nawasync.Config.Secrets as well, so that they are redacted everywhere.
	Secrets []nawasync.Secret
	// Header is the header with the default signature. Default Webhook-Signature.
	Header string
	// Verify replaces the default signature. It returns what identifies the request among those that are signed, for
	// example the signature itself: a second request with the same identity within 15 minutes is
	// answered and changes nothing. An error answers 401. Compare signatures with hmac.Equal. It must be safe for concurrent
	// use.
	Verify func(r *http.Request, body []byte) (identity string, err error)
	// Keys returns the keys of the objects that a request is about, with their scope fields: at most 1,000. No
	// keys are a request that is of no concern. An error answers 503, so that the remote sends the request again. It
	// must be safe for concurrent use and must not call the remote.
	Keys func(r *http.Request, body []byte) ([]T, error)
	// ContentType is the media type of the requests. Default application/json, and all that end in +json.
	ContentType string
	// By names the requests in the jobs. Default "webhook".
	By string
	// Logger gets the reasons of refused requests: at level Debug those without a valid signature, else
	// at level Warn. Default slog.Default().
	Logger *slog.Logger
}

// Handler returns the handler of the requests for a repository. It dispatches what RefreshKey does for each key, all
// in one transaction, and never waits for the remote. It answers
//
//   - 204 if the request is accepted, was accepted before, or concerns no object
//   - 401 if it is not signed, or its time is off
//   - 405 if it is no POST
//   - 413 if its body is larger than 1 MiB, or it names more than 1,000 keys
//   - 415 if it has another content type
//   - 503 if it could not be stored: the remote is to send it again
//
// and nothing else. A request is accepted once, by whichever process, for as long as its time is valid. Handler returns
// an error for an incomplete Webhook, for a repository of another package, and one that wraps errors.ErrUnsupported
// if the remote cannot read single objects. The handler is safe for concurrent use.
func (w Webhook[T]) Handler(repo nawasync.SyncedRepository[T]) (http.Handler, error) {
	r, ok := repo.(*repository[T])
	if !ok {
		return nil, fmt.Errorf("%w: webhook: the repository is a %T; pass one that mirror.New returned", nawasync.ErrInvalid, repo)
	}
	if err := r.supports("refresh"); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if w.Keys == nil {
		return nil, r.configErrorf("webhook: %w: Keys is nil", nawasync.ErrInvalid)
	}
	if w.Verify == nil {
		if err := checkWebhookSecrets(w.Secrets); err != nil {
			return nil, r.configErrorf("webhook: %w", err)
		}
		if w.Header == "" {
			w.Header = "Webhook-Signature"
		}
		w.Verify = signatureCheck{w.Secrets, w.Header, r.now}.verify
	}
	if w.By == "" {
		w.By = "webhook"
	}
	if w.Logger == nil {
		w.Logger = slog.Default()
	}
	h := &webhookHandler{repo: r.repo, contentType: w.ContentType, verify: w.Verify, options: nawasync.Options{By: w.By, Source: nawasync.SourceEvent}, logger: w.Logger}
	h.keys = func(req *http.Request, body []byte) (list []reflect.Value, err error) {
		keys, err := w.Keys(req, body)
		for i := range keys {
			list = append(list, reflect.ValueOf(&keys[i]).Elem())
		}
		return list, err
	}
	return h, nil
}

// webhookHandler is a Webhook without its type parameter.
type webhookHandler struct {
	repo        *repo
	contentType string
	verify      func(r *http.Request, body []byte) (string, error)
	keys        func(r *http.Request, body []byte) ([]reflect.Value, error)
	options     nawasync.Options
	logger      *slog.Logger

	countedAt atomic.Int64 // when this process last counted the remembered requests, in microseconds
	full      atomic.Bool
}

// ServeHTTP implements http.Handler.
func (h *webhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, err := h.handle(w, r)
	if err != nil {
		level := slog.LevelWarn
		if status == http.StatusUnauthorized {
			level = slog.LevelDebug
		}
		h.logger.Log(r.Context(), level, "refused a request of a webhook", "service", h.repo.service, "type", h.repo.typ, "status", status,
			"error", h.repo.engine.Redact(err.Error()))
	}
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "60")
	}
	w.WriteHeader(status)
}

func (h *webhookHandler) handle(w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, fmt.Errorf("the method is %q", r.Method)
	}
	if !h.accepts(r.Header.Get("Content-Type")) {
		return http.StatusUnsupportedMediaType, fmt.Errorf("the content type is %.80q", r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhookBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, err
	}
	if err != nil {
		return http.StatusServiceUnavailable, fmt.Errorf("read the body: %w", err)
	}
	identity, err := h.verify(r, body)
	if err != nil {
		return http.StatusUnauthorized, err
	}
	keys, err := h.keys(r, body)
	switch {
	case err != nil:
		return http.StatusServiceUnavailable, fmt.Errorf("map the request to keys: %w", err)
	case len(keys) > maxWebhookKeys:
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the request names %d keys; the maximum is %d", len(keys), maxWebhookKeys)
	case len(keys) == 0:
		return http.StatusNoContent, nil
	}
	if err := h.dispatch(r.Context(), identity, keys); err != nil {
		return http.StatusServiceUnavailable, err
	}
	return http.StatusNoContent, nil
}

func (h *webhookHandler) accepts(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if h.contentType != "" {
		return strings.EqualFold(media, h.contentType)
	}
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// dispatch dispatches the refreshes of the keys, unless the request was accepted before.
func (h *webhookHandler) dispatch(ctx context.Context, identity string, keys []reflect.Value) error {
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	if err := h.checkRoom(ctx); err != nil {
		return err
	}
	store, delivery := h.repo.engine.Store(), deliveryOf(h.repo.service, h.repo.typ, identity)
	return h.repo.engine.InTx(ctx, func(tx *gorm.DB) error {
		added, err := store.AddDelivery(ctx, tx, delivery)
		if err != nil || !added {
			return err
		}
		inside := *h.repo
		inside.tx = tx
		_, err = inside.refreshKeys(ctx, keys, h.options)
		return err
	})
}

// checkRoom returns an error if too many requests are remembered.
func (h *webhookHandler) checkRoom(ctx context.Context) error {
	now, counted := h.repo.now(), h.countedAt.Load()
	if now.UnixMicro() >= counted+countInterval.Microseconds() && h.countedAt.CompareAndSwap(counted, now.UnixMicro()) {
		n, err := h.repo.engine.Store().CountDeliveries(ctx, maxDeliveries)
		if err != nil {
			h.countedAt.Store(counted)
			return err
		}
		h.full.Store(n >= maxDeliveries)
	}
	if h.full.Load() {
		return fmt.Errorf("%d requests of webhooks were accepted within minutes; look for a sender that repeats itself", maxDeliveries)
	}
	return nil
}
