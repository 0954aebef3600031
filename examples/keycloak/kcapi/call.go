package kcapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// template names the endpoint of a request without the realm and the identifiers in its path.
func template(r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	for i := 1; i < len(parts); i++ {
		switch {
		case parts[i-1] == "realms":
			parts[i] = "{realm}"
		case parts[i-1] == "users" && parts[i] != "count", parts[i-1] == "clients":
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}

// refusal is the body of an error. The calls have three forms of it.
type refusal struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	Message     string `json:"errorMessage"`
	Field       string `json:"field"`
	Errors      []struct {
		Field   string `json:"field"`
		Message string `json:"errorMessage"`
	} `json:"errors"`
}

// Error returns the texts.
func (r refusal) Error() string {
	var list []string
	for _, text := range []string{r.Code, r.Description, r.Field, r.Message} {
		if text != "" {
			list = append(list, text)
		}
	}
	for _, e := range r.Errors {
		list = append(list, e.Field+" "+e.Message)
	}
	if len(list) == 0 {
		return "the answer does not say why"
	}
	return strings.Join(list, ": ")
}

// gone are the texts with which the server says that an object does not exist. Any other 404 is one of the path.
var gone = map[string]bool{"User not found": true, "Could not find client": true}

// openEnvelope returns the error that an answer reports. Without a class, the status says what it is.
func openEnvelope(a *remote.Answer) error {
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	var reason refusal
	if err := json.Unmarshal(a.Body, &reason); err != nil {
		if a.Status == http.StatusNotFound { // not the API, so it says nothing about the object
			return &fault.Error{Class: fault.ClassConfig, Hint: "check the address of the server", Err: errors.New("the answer is not one of Keycloak's API")}
		}
		return nil // the status and the content say what is wrong
	}
	switch {
	case a.Status == http.StatusNotFound && gone[reason.Code]:
		return fault.WithClass(fault.ClassGone, reason)
	case a.Status == http.StatusNotFound:
		return &fault.Error{Class: fault.ClassConfig, Hint: "check the address of the server and the name of the realm", Err: reason}
	case reason.Code == "missingNormalization":
		return &fault.Error{Class: fault.ClassConfig, Hint: "check the address of the server", Err: reason}
	}
	return reason
}

// isID reports whether a text can be one part of a path.
func isID(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= 255 && strings.IndexFunc(id, func(r rune) bool { return r < ' ' || r == '/' }) < 0
}

// call makes a call in a realm. The path is below that of the realm.
func (c *Client) call(ctx context.Context, realm string, call remote.Call, parts []string, into any) (*remote.Answer, error) {
	if _, known := c.realms[realm]; !known {
		return nil, unknownRealm(realm)
	}
	for i, part := range parts {
		if !isID(part) {
			return nil, fault.WithClass(fault.ClassPermanent, fmt.Errorf("%.40q is not the identifier of an object in Keycloak", part))
		}
		parts[i] = url.PathEscape(part)
	}
	call.URL = c.base.JoinPath(append([]string{"admin/realms", url.PathEscape(realm)}, parts...)...).String()
	return c.remote.Call(ctx, realm, call, into)
}

// create makes a call that creates an object, and returns the identifier that the server has given it. The answer has no
// body.
func (c *Client) create(ctx context.Context, realm, kind string, fields map[string]any) (id string, err error) {
	answer, err := c.call(ctx, realm, remote.Call{Method: http.MethodPost, JSON: fields}, []string{kind}, nil)
	if err != nil {
		return "", err
	}
	location, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || location.Path == "" {
		return "", fault.WithClass(fault.ClassUnknownOutcome, errors.New("keycloak: the answer to a creation does not say where the object is"))
	}
	return path.Base(location.Path), nil
}

// errNoObject is the error of an answer that is JSON, but not the object that was asked for.
var errNoObject = fault.WithClass(fault.ClassTransient, errors.New("keycloak: the answer has no object"))

// update reads an object, merges changes into it and writes it as a whole, because a call that leaves fields out clears
// some of them. Fields of other clients, and those that this client does not know, stay as they are. The secrets are left
// out: the server keeps its own, and one that another client has replaced meanwhile is not brought back.
func (c *Client) update(ctx context.Context, realm, kind, id string, changes map[string]any) error {
	var document map[string]json.RawMessage
	if _, err := c.call(ctx, realm, remote.Call{}, []string{kind, id}, &document); err != nil {
		return err
	}
	if document["id"] == nil {
		return errNoObject
	}
	for _, name := range secretFields {
		delete(document, name)
	}
	values := map[string]any{}
	for name, value := range changes {
		if set, ok := value.(Set); ok {
			list, err := set.apply(document[name])
			if err != nil {
				return fault.WithClass(fault.ClassPermanent, fmt.Errorf("keycloak: merge the list %s: %w", name, err))
			}
			value = list
		}
		values[name] = value
	}
	current, err := json.Marshal(document)
	if err != nil {
		return err
	}
	merged, err := remote.Merge(current, values)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, realm, remote.Call{Method: http.MethodPut, JSON: merged}, []string{kind, id}, nil)
	if fault.ClassOf(err) == fault.ClassConflict { // another object has the name or the email address
		err = fault.WithClass(fault.ClassPermanent, err)
	}
	return err
}

// secretFields are the fields of a client that are credentials.
var secretFields = []string{"secret", "registrationAccessToken"}

// page returns the query of a page of a list.
func (c *Client) page(offset int, query url.Values) url.Values {
	out := url.Values{"first": {strconv.Itoa(offset)}, "max": {strconv.Itoa(c.pageSize)}}
	maps.Copy(out, query)
	return out
}
