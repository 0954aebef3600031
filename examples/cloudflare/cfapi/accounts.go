package cfapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// Account is an account that the token may see.
type Account struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Type      string     `json:"type"` // standard or enterprise
	CreatedOn *time.Time `json:"created_on"`
}

// accountPageSize is the most that the API lists at once.
const accountPageSize = 50

// Accounts lists the accounts that the token may see, page by page. from is "", or the Next of an earlier page.
func (c *Client) Accounts(ctx context.Context, from string) iter.Seq2[remote.Page[Account], error] {
	return list[Account](ctx, c, "/accounts", url.Values{"per_page": {strconv.Itoa(accountPageSize)}}, from)
}

// Account returns one account. The error has the class gone if there is none.
func (c *Client) Account(ctx context.Context, id string) (a Account, err error) {
	return object[Account](ctx, c, "an account", "/accounts/", id)
}

// object returns an object that has a path of its own: an unknown identifier in it means that the object does not exist.
func object[T any](ctx context.Context, c *Client, what, path, id string) (out T, err error) {
	if !isID(id) {
		return out, fault.WithClass(fault.ClassPermanent, fmt.Errorf("%.40q is not the identifier of %s", id, what))
	}
	answer, err := call[T](ctx, c, request{method: http.MethodGet, path: path + id})
	if refused, ok := errors.AsType[apiErrors](err); ok && refused.has(7003) {
		// The path is one of the API's, so it is the object that does not exist.
		return out, fault.WithClass(fault.ClassGone, err)
	}
	if err != nil {
		return out, err
	}
	return answer.Result, nil
}
