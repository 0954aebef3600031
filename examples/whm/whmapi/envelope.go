package whmapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/fault"
)

// envelope is the union of what WHM answers with:
//
//	{"data":…, "metadata":{"result":1,"reason":"OK"}}           WHM API 1
//	{"apiversion":3, "result":{"status":1,"data":…}}            UAPI through WHM's cpanel
//	{"data":{"uapi":{"status":1,"data":…}}, "metadata":…}       UAPI through uapi_cpanel
//	{"status":1, "data":…, "errors":…}                          UAPI directly
//	{"cpanelresult":{"error":…,"data":{"reason":…}}}            refused, or an API 2 answer
//
// result and status are 1, "1" or true, depending on version and function.
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

// paginate is UAPI's account of a listing in pages.
type paginate struct {
	Total number `json:"total_results"`
	Pages number `json:"total_pages"`
}

// uapi is what all four ways to UAPI have inside.
type uapi struct {
	Status   flag            `json:"status"`
	Data     json.RawMessage `json:"data"`
	Errors   texts           `json:"errors"`
	Metadata struct {
		Paginate *paginate `json:"paginate"`
	} `json:"metadata"`
}

// open takes the payload out of an answer, or says what the server refused.
func (r request) open(body []byte) (uapi, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		if looksLikeHTML(body) {
			return uapi{}, r.broken(errors.New("the answer is an HTML page, not JSON; is something before WHM that answers in its place?"))
		}
		return uapi{}, r.broken(fmt.Errorf("the answer of %d bytes is not the JSON it should be: %w", len(body), err))
	}
	switch {
	case e.Refused != nil:
		return uapi{}, r.refused(refusal(body))
	case e.Metadata != nil && !bool(e.Metadata.Result):
		return uapi{}, r.refused(e.Metadata.Reason)
	case e.Result != nil:
		return r.inner(e.Result)
	case e.Metadata != nil:
		var through struct {
			UAPI json.RawMessage `json:"uapi"`
		}
		// data may be a list, or null: then there is no UAPI in it.
		if err := json.Unmarshal(e.Data, &through); err == nil && through.UAPI != nil {
			return r.inner(through.UAPI)
		}
		return uapi{Status: true, Data: e.Data}, nil
	case e.Status != nil:
		return r.inner(body)
	}
	return uapi{}, r.broken(errors.New("the answer is JSON, but none of WHM's envelopes"))
}

func (r request) inner(text json.RawMessage) (uapi, error) {
	var u uapi
	if err := json.Unmarshal(text, &u); err != nil {
		return u, r.broken(fmt.Errorf("the answer's result is not the JSON it should be: %w", err))
	}
	if !u.Status {
		return u, r.refused(strings.Join(u.Errors, "; "))
	}
	return u, nil
}

// refusal is the reason in a cpanelresult, if the body is one.
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

// refusals tell by its words why the server said no: it has no codes. First match.
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
	{fault.ClassConfig, []string{"unknown app", "function not found", "failed to load module"}, "does this server's version know the function?"},
	{fault.ClassPermanent, []string{"quota", "password", "invalid", "exceed", "maximum", "must be", "may not", "not allowed", "required"}, ""},
}

// refused is an answer with HTTP 200 that says no. Words it does not know may pass.
func (r request) refused(reason string) error {
	if reason = clip(reason); reason == "" {
		reason = "refused without a reason"
	}
	lower := strings.ToLower(reason)
	for _, known := range refusals {
		for _, word := range known.words {
			if !strings.Contains(lower, word) {
				continue
			}
			if known.class == fault.ClassRateLimited {
				return r.limited("", errors.New(reason))
			}
			return r.fail(known.class, known.hint, errors.New(reason))
		}
	}
	return r.fail(fault.ClassUnclassified, "", errors.New(reason))
}
