package cfapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/fault"
)

// envelope is what every answer of the API looks like.
type envelope struct {
	Result  json.RawMessage `json:"result"`
	Success *bool           `json:"success"`
	Errors  []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
	Info *resultInfo `json:"result_info"`
}

// resultInfo describes a page of a list. A total that the answer lacks is nil: it is not 0.
type resultInfo struct {
	Page       int  `json:"page"`
	TotalCount *int `json:"total_count"`
	TotalPages *int `json:"total_pages"`
}

// decode returns the envelope of an answer that says that the call succeeded.
func (e *exchange) decode(response *http.Response, text []byte) (*envelope, error) {
	var a envelope
	err := json.Unmarshal(text, &a)
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, e.statusError(response, &a)
	case err != nil && bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")):
		return nil, e.incomplete(errors.New("the answer is an HTML page, not JSON; check whether a proxy answers instead of Cloudflare"))
	case err != nil:
		return nil, e.incomplete(fmt.Errorf("decode the answer of %d bytes: %w", len(text), err))
	case a.Success == nil:
		return nil, e.incomplete(errors.New("the answer is JSON, but has not Cloudflare's form"))
	case !*a.Success:
		return nil, e.statusError(response, &a)
	}
	return &a, nil
}

// codes classifies an answer by its code, which says more than its status.
var codes = map[int]struct {
	class fault.Class
	hint  string
}{
	81044: {fault.ClassGone, ""},
	81057: {fault.ClassAlreadyExists, ""},
	81058: {fault.ClassAlreadyExists, ""},
	81053: {fault.ClassPermanent, "a CNAME cannot stand beside an A or AAAA record of the same name: delete one of them first"},
	1002:  {fault.ClassPermanent, "the identifier of the record is not one of Cloudflare's"},
	// An unknown path proves nothing about an object: the zone may be gone, or the address wrong.
	7000: {fault.ClassConfig, "the zone does not exist any more, or the address of the API is wrong"},
	7003: {fault.ClassConfig, "the zone does not exist any more, or the address of the API is wrong"},
	6003: {fault.ClassCredentials, "the token is malformed: set it again"},
	1000: {fault.ClassCredentials, "the token was revoked: create another one in the dashboard"},
}

// statusError is the error of an answer that refuses the call. A status 403 comes both from a zone that the token
// may not see and from a token that was revoked: it is forbidden, and Verify tells which one it is.
func (e *exchange) statusError(response *http.Response, a *envelope) error {
	text := fmt.Errorf("HTTP %s", response.Status)
	var reasons []string
	class, hint := fault.Class(""), ""
	for _, reason := range a.Errors {
		reasons = append(reasons, fmt.Sprintf("%d %s", reason.Code, clip(reason.Message)))
		if known, ok := codes[reason.Code]; ok && class == "" {
			class, hint = known.class, known.hint
		}
	}
	if len(reasons) > 0 {
		text = fmt.Errorf("HTTP %d: %s", response.StatusCode, strings.Join(reasons, "; "))
	}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests:
		return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: retryAfter(response), Err: e.redact(text)}
	case status == http.StatusUnauthorized:
		return e.fail(fault.ClassCredentials, cmp.Or(hint, "check the token"), text)
	case status == http.StatusForbidden:
		return e.fail(fault.ClassForbidden, "check that the token may see and edit this zone", text)
	case status >= 500:
		return e.incomplete(text)
	case class != "":
		return e.fail(class, hint, text)
	case status >= 300 && status < 400:
		return e.fail(fault.ClassConfig, "set the URL to the redirect's target: "+clip(response.Header.Get("Location")), text)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return e.fail(fault.ClassConfig, "check the address of the API", text)
	}
	return e.fail(fault.ClassPermanent, "", text)
}

// blockTime is how long Cloudflare refuses every call of a token that made too many.
const blockTime = 5 * time.Minute

// retryAfter returns how long a refused call has to wait: as Retry-After says in seconds, or else the whole block.
func retryAfter(response *http.Response) time.Duration {
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		return max(time.Second, time.Duration(seconds)*time.Second)
	}
	return blockTime
}
