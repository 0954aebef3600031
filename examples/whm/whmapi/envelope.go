package whmapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/fault"
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

// uapi is the payload that all forms of a UAPI answer contain.
type uapi struct {
	Status   flag            `json:"status"`
	Data     json.RawMessage `json:"data"`
	Errors   texts           `json:"errors"`
	Metadata struct {
		Paginate *paginate `json:"paginate"`
	} `json:"metadata"`
}

// decode returns the payload of an answer. If the server refused the request, decode returns an
// error with the server's reason.
func (r request) decode(body []byte) (uapi, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		if looksLikeHTML(body) {
			return uapi{}, r.incomplete(errors.New("the answer is an HTML page, not JSON; check whether a proxy answers instead of WHM"))
		}
		return uapi{}, r.incomplete(fmt.Errorf("decode the answer of %d bytes: %w", len(body), err))
	}
	switch {
	case e.Refused != nil:
		return uapi{}, r.refused(refusal(body))
	case e.Metadata != nil && !bool(e.Metadata.Result):
		return uapi{}, r.refused(e.Metadata.Reason)
	case e.Result != nil:
		return r.decodeUAPI(e.Result)
	case e.Metadata != nil:
		var wrapper struct {
			UAPI json.RawMessage `json:"uapi"`
		}
		// The data of a WHM API 1 function may be a list or null. Then it has no UAPI answer inside.
		if err := json.Unmarshal(e.Data, &wrapper); err == nil && wrapper.UAPI != nil {
			return r.decodeUAPI(wrapper.UAPI)
		}
		return uapi{Status: true, Data: e.Data}, nil
	case e.Status != nil:
		return r.decodeUAPI(body)
	}
	return uapi{}, r.incomplete(errors.New("the answer is JSON, but has none of WHM's forms"))
}

func (r request) decodeUAPI(text json.RawMessage) (uapi, error) {
	var u uapi
	if err := json.Unmarshal(text, &u); err != nil {
		return u, r.incomplete(fmt.Errorf("decode the answer's result: %w", err))
	}
	if !u.Status {
		return u, r.refused(strings.Join(u.Errors, "; "))
	}
	return u, nil
}

// refusal returns the reason of a cpanelresult, or "" if the body is not one.
func refusal(body []byte) string {
	var e envelope
	if json.Unmarshal(body, &e) != nil || e.Refused == nil {
		return ""
	}
	if e.Refused.Error != "" {
		return clip(e.Refused.Error)
	}
	var data struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(e.Refused.Data, &data)
	return clip(data.Reason)
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
		"check user, token and the token's privileges in WHM",
	},
	{fault.ClassRateLimited, []string{"too many requests", "rate limit"}, ""},
	{fault.ClassTransient, []string{"temporar", "timed out", "could not lock", "unable to lock", "try again"}, ""},
	{fault.ClassAlreadyExists, []string{"already exists", "is taken", "already taken"}, ""},
	{fault.ClassGone, []string{"does not exist", "do not have an email account", "no such", "not found", "doesn’t exist", "doesn't exist"}, ""},
	{fault.ClassConfig, []string{"unknown app", "function not found", "failed to load module"}, "check that this server's version has the function"},
	{fault.ClassPermanent, []string{"quota", "password", "invalid", "exceed", "maximum", "must be", "may not", "not allowed", "required"}, ""},
}

// refused is the error of an answer with status 200 that refuses the request. A reason without a
// known word is unclassified, so that the job is retried.
func (r request) refused(reason string) error {
	if reason = clip(reason); reason == "" {
		reason = "the server refused the request without a reason"
	}
	lower := strings.ToLower(reason)
	for _, known := range refusals {
		for _, word := range known.words {
			if !strings.Contains(lower, word) {
				continue
			}
			if known.class == fault.ClassRateLimited {
				return r.rateLimited("", errors.New(reason))
			}
			return r.fail(known.class, known.hint, errors.New(reason))
		}
	}
	return r.fail(fault.ClassUnclassified, "", errors.New(reason))
}
