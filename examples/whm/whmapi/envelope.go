package whmapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// envelope is the union of the forms of WHM's answers:
//
//	{"data":…, "metadata":{"result":1,"reason":"OK"}}           WHM API 1
//	{"apiversion":3, "result":{"status":1,"data":…}}            UAPI through WHM's cpanel
//	{"data":{"uapi":{"status":1,"data":…}}, "metadata":…}       UAPI through uapi_cpanel
//	{"status":1, "data":…, "errors":…}                          UAPI directly
//	{"cpanelresult":{"error":…,"data":{"reason":…}}}            a refusal, or an API 2 answer
//
// On success, result and status are 1, "1" or true, depending on version and function.
type envelope struct {
	Data     json.RawMessage `json:"data"`
	Metadata *metadata       `json:"metadata"`
	Result   json.RawMessage `json:"result"`
	Status   *flag           `json:"status"`
	Errors   texts           `json:"errors"`
	Refused  *struct {
		Error string          `json:"error"`
		Data  json.RawMessage `json:"data"`
	} `json:"cpanelresult"`
}

type metadata struct {
	Result   flag      `json:"result"`
	Reason   string    `json:"reason"`
	Paginate *paginate `json:"paginate"`
}

// paginate has the numbers of rows and pages of a UAPI listing.
type paginate struct {
	Total number `json:"total_results"`
	Pages number `json:"total_pages"`
}

// payload is what all forms of an answer have in common.
type payload[T any] struct {
	Data     T `json:"data"`
	Metadata struct {
		Paginate *paginate `json:"paginate"`
	} `json:"metadata"`
}

// uapi is the part of a UAPI answer that tells how the call has ended.
type uapi struct {
	Status flag            `json:"status"`
	Data   json.RawMessage `json:"data"`
	Errors texts           `json:"errors"`
}

// open sets the data of an answer to its payload. If the server refused the request, open returns an
// error with the server's reason.
func open(a *remote.Answer) error {
	if a.Status != http.StatusOK {
		return refusedStatus(a)
	}
	var e envelope
	if err := json.Unmarshal(a.Body, &e); err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<")) {
			return errors.New("the answer is an HTML page, not JSON; check whether a proxy answers instead of WHM")
		}
		return fmt.Errorf("decode the answer of %d bytes: %w", len(a.Body), err)
	}
	switch {
	case e.Refused != nil:
		return refused(refusal(a.Body))
	case e.Status != nil: // its metadata has no result
		return openUAPI(a, a.Body)
	case e.Metadata != nil && !bool(e.Metadata.Result):
		return refused(e.Metadata.Reason)
	case e.Result != nil:
		return openUAPI(a, e.Result)
	case e.Metadata != nil:
		var wrapper struct {
			UAPI json.RawMessage `json:"uapi"`
		}
		// The data of a WHM API 1 function may be a list or null. Then it has no UAPI answer inside.
		if err := json.Unmarshal(e.Data, &wrapper); err == nil && wrapper.UAPI != nil {
			return openUAPI(a, wrapper.UAPI)
		}
		return checkData(a, e.Data)
	}
	return errors.New("the answer is JSON, but has none of WHM's forms")
}

func openUAPI(a *remote.Answer, text json.RawMessage) error {
	var u uapi
	if err := json.Unmarshal(text, &u); err != nil {
		return fmt.Errorf("decode the answer's result: %w", err)
	}
	if !u.Status {
		return refused(strings.Join(u.Errors, "; "))
	}
	a.Data = text
	return checkData(a, u.Data)
}

// checkData checks that the answer to a read has data: without it, a list would seem to be empty.
func checkData(a *remote.Answer, data json.RawMessage) error {
	if a.Read && data == nil {
		return errors.New("the answer has no data")
	}
	return nil
}

// refusedStatus is the error of an answer whose status is not 200, or nil for what the status says.
func refusedStatus(a *remote.Answer) error {
	reason := cmp.Or(refusal(a.Body), http.StatusText(a.Status))
	switch a.Status {
	case http.StatusForbidden, http.StatusUnauthorized: // WHM has no other status for a token that it does not know
		return &fault.Error{Class: fault.ClassCredentials, Hint: hintCredentials, Err: errors.New(reason)}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &fault.Error{Class: fault.ClassConfig, Hint: "check that the URL has WHM's port, 2087", Err: errors.New(reason)}
	}
	return nil
}

// A server refuses calls on the port of another service as if the token were wrong, or the function unknown.
const (
	hintCredentials = "check user, token and the token's privileges in WHM, and that the URL has its port, 2087"
	hintFunction    = "check that this server's version has the function, and that the URL has WHM's port, 2087"
)

// refusal returns the reason of a cpanelresult, or "" if the body is not one.
func refusal(body []byte) string {
	var e envelope
	if json.Unmarshal(body, &e) != nil || e.Refused == nil {
		return ""
	}
	var data struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(e.Refused.Data, &data)
	return cmp.Or(e.Refused.Error, data.Reason)
}

// refusals classifies a refusal by words in its reason, because WHM sends no error codes. The first
// match wins.
var refusals = []struct {
	class fault.Class
	words []string
	hint  string
}{
	{
		fault.ClassCredentials,
		[]string{"access denied", "permission denied", "invalid token", "do not have permission", "not authorized"},
		hintCredentials,
	},
	{fault.ClassRateLimited, []string{"too many requests", "rate limit"}, ""},
	{fault.ClassTransient, []string{"temporar", "timed out", "could not lock", "unable to lock", "try again"}, ""},
	{fault.ClassAlreadyExists, []string{"already exists", "is taken", "already taken"}, ""},
	// Before gone, because a function that is not found proves nothing about an object.
	{fault.ClassConfig, []string{"unknown app", "function not found", "failed to load module"}, hintFunction},
	{fault.ClassGone, []string{"does not exist", "do not have an email account", "no such", "not found", "doesn’t exist", "doesn't exist"}, ""},
	{fault.ClassPermanent, []string{"quota", "password", "invalid", "exceed", "maximum", "must be", "may not", "not allowed", "required"}, ""},
}

// refused is the error of an answer with status 200 that refuses the request. A reason without a
// known word is unclassified, so that the job is retried.
func refused(reason string) error {
	reason = cmp.Or(strings.TrimSpace(reason), "the server refused the request without a reason")
	f := &fault.Error{Class: fault.ClassUnclassified, Err: errors.New(reason)}
	lower := strings.ToLower(reason)
	for _, known := range refusals {
		if slices.ContainsFunc(known.words, func(word string) bool { return strings.Contains(lower, word) }) {
			f.Class, f.Hint = known.class, known.hint
			break
		}
	}
	return f
}
