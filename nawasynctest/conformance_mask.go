package nawasynctest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/fault"
)

// checkMasking lets the server repeat each request in its error, and searches errors, logs, URLs and objects for secrets.
func checkMasking[T any](w *remoteWorld[T]) {
	secrets := map[string]string{} // what each one is
	for _, s := range w.suite.Secrets {
		secrets[s.Reveal()] = "a credential of RemoteSuite.Secrets"
	}
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError} {
		w := w.again()
		calls := []remoteCall[T]{}
		for _, method := range w.methods() {
			calls = append(calls, w.prepare(method))
		}
		w.listed("")
		for _, call := range calls {
			for _, s := range call.secrets {
				secrets[s] = "a secret of the object"
			}
		}
		for _, r := range w.transport.since(0) {
			if _, token, ok := strings.Cut(r.authorization, " "); ok {
				secrets[token] = "what the header Authorization has"
			}
		}
		w.transport.inject(transportFault{status: status, echo: true})
		for _, call := range calls {
			if err := call.do(w.t.Context()); err != nil {
				w.hasNoSecret(secrets, err.Error(), fmt.Sprintf("the error of %s for status %d, whose body repeats the request,", call.name, status),
					"leave bodies, headers and URLs out of errors, or redact the credentials and the secrets of the call in them, in each of their encodings")
			}
		}
		w.transport.clear()
		w.checkTraces(secrets)
	}
	w.checkRows(secrets)
}

// checkTraces searches the URLs of the requests and the log.
func (w *remoteWorld[T]) checkTraces(secrets map[string]string) {
	w.t.Helper()
	w.hasNoSecret(secrets, w.transport.log.String(), "the log", "log neither headers nor bodies")
	for _, r := range w.transport.since(0) {
		if !w.hasNoSecret(secrets, r.url, "the URL of a request", "send secrets in a header or in the body: servers and proxies log URLs") {
			return
		}
	}
}

// checkRows searches the objects that the Remote returns for secrets.
func (w *remoteWorld[T]) checkRows(secrets map[string]string) {
	w.t.Helper()
	w = w.again()
	var values []T
	if slices.Contains(w.methods(), "Create") {
		want := w.spelled(w.object())
		for _, s := range w.secretsOf(want) {
			secrets[s] = "a secret of the object"
		}
		o, err := w.creator().Create(w.t.Context(), want)
		if err != nil {
			w.stopf("Create must create a valid object", "Create of %s returned an error of the class %q: %v", w.name(want), fault.ClassOf(err), err)
		}
		w.forget(o.Value)
		values = append(values, o.Value)
		if slices.Contains(w.methods(), "Get") {
			values = append(values, w.get(o.Value).Value)
		}
	}
	values = append(values, w.listed("").items...)
	for _, value := range values {
		text := texts(slices.Concat(w.Scope, w.Key, w.Content, w.Observed), valueOf(&value))
		if !w.hasNoSecret(secrets, text, "an object that the Remote returned", "do not copy secrets from the answer into fields that are stored") {
			return
		}
	}
}

// hasNoSecret fails if a text has a secret in one of its encodings.
func (w *remoteWorld[T]) hasNoSecret(secrets map[string]string, text, what, fix string) bool {
	w.t.Helper()
	for value, kind := range secrets {
		if len(value) < minSecret {
			continue
		}
		for _, spelled := range spellings(value) {
			if strings.Contains(text, spelled) {
				w.failf(fix, "%s contains %s", what, kind)
				return false
			}
		}
	}
	return true
}

// spellings returns the encodings in which a secret is sent and repeated.
func spellings(value string) []string {
	quoted, _ := json.Marshal(value)
	list := []string{
		value, url.QueryEscape(value), url.PathEscape(value), strings.Trim(string(quoted), `"`), base64.StdEncoding.EncodeToString([]byte(value)),
	}
	slices.Sort(list)
	return slices.Compact(list)
}
