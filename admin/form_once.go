package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Each form has a random token, so that a form that is sent twice is handled once: somebody presses a button again
// because the answer is slow, or a browser or a proxy repeats the request. The first request with a token
// claims it in the database, which all processes share, and records its answer there. The other requests get
// that answer.

// tokenField is the name of the form's field with the token.
const tokenField = "token"

const (
	formPoll     = 100 * time.Millisecond // between two looks for the answer of the first request
	maxFlashText = 2000                   // bytes; a cookie holds 4 KB
)

// formToken returns the token of the form, or "" if the form has none that is valid. A script may choose a
// token of its own, for example a UUID.
func (p *request) formToken() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	token := p.r.PostForm.Get(tokenField)
	if len(token) < 16 || len(token) > 64 || strings.Trim(token, letters) != "" {
		return ""
	}
	return token
}

// claimError is the error of a form that was not claimed, so that its action has not begun.
type claimError struct{ error }

// once runs the action of a form, unless the form was sent before. Then it returns the result of the first
// request.
func (p *request) once(do func() (flash, error)) (flash, error) {
	token, store := p.formToken(), p.h.engine.Internals(host.NewKey()).Store()
	if token == "" {
		return flash{}, &httpError{http.StatusUnprocessableEntity, p.T("The form is out of date"), p.T("Nothing was done. Reload the page and send the form again.")}
	}
	request := p.formHash()
	// Not the browser's context: it gives the request up when somebody presses the button again, and the row may be written all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.r.Context()), p.h.config.Timeout)
	defer cancel()
	earlier, err := store.ClaimForm(ctx, token, request)
	switch {
	case err != nil:
		return flash{}, claimError{err}
	case earlier == nil:
		return p.runAndRecord(store, token, do)
	case earlier.Request != request:
		return flash{}, p.otherValues(earlier)
	}
	return p.earlierAnswer(store, token, earlier)
}

// otherValues says that the form was sent before with other values. The subject that has sent it also learns what was
// done then.
func (p *request) otherValues(earlier *jobstore.Form) error {
	text := p.T("Nothing was done this time. Reload the page, look at the current state, and send the form again.")
	var first flash
	if strings.HasPrefix(earlier.Request, p.formHash()[:senderHash]) && json.Unmarshal([]byte(earlier.Answer), &first) == nil && first.Text != "" {
		text += " " + p.Tf("The first time: %s", first.Text)
	}
	return &httpError{http.StatusUnprocessableEntity, p.T("The form was sent before with other values"), text}
}

// formWasSent reports whether the form of the request was sent before.
func (p *request) formWasSent() (bool, error) {
	token := p.formToken()
	if token == "" {
		return false, nil
	}
	_, err := p.h.engine.Internals(host.NewKey()).Store().Form(p.r.Context(), token)
	if errors.Is(err, tracker.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// senderHash is how many characters of a form's hash identify who has sent which form; the others identify the values.
const senderHash = 32

// formHash identifies who sent what.
func (p *request) formHash() string {
	return hashOf(p.viewer.subject, p.r.URL.Path)[:senderHash] + hashOf(p.r.PostForm.Encode())[:senderHash]
}

func hashOf(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		_, _ = hash.Write([]byte(url.QueryEscape(part) + "\n"))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// runAndRecord runs an action and records its result. The action goes on if the browser gives up: it does
// so when somebody presses the button again, and then waits for this result.
func (p *request) runAndRecord(store *jobstore.Store, token string, do func() (flash, error)) (flash, error) {
	sent := p.r
	defer func() { p.r = sent }()
	detached := context.WithoutCancel(sent.Context())
	ctx, cancel := context.WithTimeout(detached, p.h.config.Timeout)
	defer cancel()
	p.r = sent.WithContext(ctx)
	f, err := do()
	f.Text = sqlkit.CleanText(p.h.engine.Internals(host.NewKey()).Redact(f.Text), maxFlashText)
	recorded := f
	if hasNotBegun(err) { // the form can be sent again
		ctx, cancel = context.WithTimeout(detached, p.h.config.Timeout)
		defer cancel()
		if failed := store.ReleaseForm(ctx, token); failed != nil {
			p.h.config.Logger.Error("could not release a form", "path", sent.URL.Path, "error", failed)
		}
		return f, err
	}
	if err != nil {
		recorded = flash{Bad: true, Text: p.unknownResult()}
	}
	answer, jsonErr := sqlkit.JSONText(recorded)
	ctx, cancel = context.WithTimeout(detached, p.h.config.Timeout)
	defer cancel()
	if failed := errors.Join(jsonErr, store.AnswerForm(ctx, token, answer)); failed != nil {
		p.h.config.Logger.Error("could not record the answer of a form", "path", sent.URL.Path, "error", failed)
	}
	return f, err
}

// unknownResult says that a request may have taken effect or not.
func (p *request) unknownResult() string {
	return p.T("It is unknown whether the first request took effect. Look at the current state and the audit log before you try again.")
}

// earlierAnswer returns the result of the first request with a token. It waits while that request runs, for
// most of the time that this one has.
func (p *request) earlierAnswer(store *jobstore.Store, token string, form *jobstore.Form) (flash, error) {
	if form.Answer == "" {
		form = p.awaitAnswer(store, token, form)
	}
	var f flash
	switch {
	case form.Answer != "":
		return f, json.Unmarshal([]byte(form.Answer), &f)
	case p.h.reader.Now().Sub(form.StartedAt) > 2*p.h.config.Timeout:
		// The first request has had Timeout for its action and as much to record its answer.
		p.h.config.Logger.Warn("a form was sent twice, and the first request has left no answer", "path", p.r.URL.Path, "started", form.StartedAt)
		return f, &httpError{http.StatusConflict, p.T("The form was sent before"), p.unknownResult()}
	}
	return f, &httpError{
		http.StatusAccepted, p.T("The form was sent before"),
		p.T("The first request is still being worked on, and nothing was done twice. Reload this page to see its result."),
	}
}

// awaitAnswer waits for the answer of a form. It returns what is known at the end. A request that waits uses
// nothing, so it gives its place in the quota of requests back.
func (p *request) awaitAnswer(store *jobstore.Store, token string, form *jobstore.Form) *jobstore.Form {
	p.leaveQuota()
	if _, ok := p.h.quotas.repeats.try(p.viewer.subject); !ok {
		return form
	}
	defer p.h.quotas.repeats.leave(p.viewer.subject, 0)
	ctx, cancel := context.WithTimeout(p.r.Context(), p.h.config.Timeout*4/5)
	defer cancel()
	tick := time.NewTicker(formPoll)
	defer tick.Stop()
	for form.Answer == "" && p.h.reader.Now().Sub(form.StartedAt) <= 2*p.h.config.Timeout {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return form
		}
		now, err := store.Form(ctx, token)
		if err != nil {
			if !errors.Is(err, tracker.ErrNotFound) && ctx.Err() == nil {
				p.h.config.Logger.Error("could not read the answer of a form", "path", p.r.URL.Path, "error", err)
			}
			return form
		}
		form = now
	}
	return form
}
