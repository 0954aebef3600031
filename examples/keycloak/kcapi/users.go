package kcapi

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// User is a user of a realm. Fields without a value are missing in the answers.
type User struct {
	ID              string   `json:"id"`
	Username        string   `json:"username"`
	Email           string   `json:"email"`
	FirstName       string   `json:"firstName"`
	LastName        string   `json:"lastName"`
	Enabled         bool     `json:"enabled"`
	EmailVerified   bool     `json:"emailVerified"`
	RequiredActions []string `json:"requiredActions"`
	Created         int64    `json:"createdTimestamp"` // milliseconds since 1970
}

// Users lists the users of a realm, page by page, without those that the service account may not see and without service
// accounts. from is "", or the Next of an earlier page. The server's count is of no use: it counts hidden users too.
func (c *Client) Users(ctx context.Context, realm, from string) iter.Seq2[remote.Page[User], error] {
	return list[User](ctx, c, realm, "users", from, nil)
}

// list yields the pages of a list.
func list[T any](ctx context.Context, c *Client, realm, kind, from string, query url.Values) iter.Seq2[remote.Page[T], error] {
	return remote.PagesByOffset(from, func(offset int) (page remote.Page[T], err error) {
		_, err = c.call(ctx, realm, remote.Call{Query: c.page(offset, query)}, []string{kind}, &page.Items)
		return page, err
	})
}

// User returns one user. The error has the class gone if there is none.
func (c *Client) User(ctx context.Context, realm, id string) (u User, err error) {
	_, err = c.call(ctx, realm, remote.Call{}, []string{"users", id}, &u)
	if err == nil && u.ID == "" {
		err = errNoObject
	}
	return u, err
}

// FindUser returns the user with a name. The error has the class gone if there is none, or if it is hidden.
func (c *Client) FindUser(ctx context.Context, realm, username string) (u User, err error) {
	var found []User
	query := url.Values{"username": {username}, "exact": {"true"}}
	if _, err := c.call(ctx, realm, remote.Call{Query: query}, []string{"users"}, &found); err != nil {
		return u, err
	}
	for _, u := range found {
		if strings.EqualFold(u.Username, username) {
			return u, nil
		}
	}
	return u, fault.WithClass(fault.ClassGone, fmt.Errorf("the realm %s has no user with this name", realm))
}

// CreateUser creates a user with fields by their names in the API, and returns its identifier.
func (c *Client) CreateUser(ctx context.Context, realm string, fields map[string]any) (id string, err error) {
	return c.create(ctx, realm, "users", fields)
}

// UpdateUser changes fields of a user, by their names in the API, and no others. It makes two calls: the API has none that
// changes single fields.
func (c *Client) UpdateUser(ctx context.Context, realm, id string, changes map[string]any) error {
	return c.update(ctx, realm, "users", id, changes)
}

// DeleteUser deletes a user. The error has the class gone if there is none.
func (c *Client) DeleteUser(ctx context.Context, realm, id string) error {
	_, err := c.call(ctx, realm, remote.Call{Method: http.MethodDelete}, []string{"users", id}, nil)
	return err
}

// ResetPassword sets a user's password. If it is temporary, the user must replace it at the next login.
func (c *Client) ResetPassword(ctx context.Context, realm, id string, password secret.Secret, temporary bool) error {
	_, err := c.call(ctx, realm, remote.Call{
		Method: http.MethodPut, JSON: map[string]any{"type": "password", "value": password.Reveal(), "temporary": temporary},
		Secrets: []secret.Secret{password},
	}, []string{"users", id, "reset-password"}, nil)
	return err
}

// CountUsers returns how many users a realm has, the hidden ones included. It succeeds if the service account may ask for
// users at all.
func (c *Client) CountUsers(ctx context.Context, realm string) (n int, err error) {
	_, err = c.call(ctx, realm, remote.Call{}, []string{"users", "count"}, &n)
	return n, err
}

// RealmExists reads the realm itself.
func (c *Client) RealmExists(ctx context.Context, realm string) (bool, error) {
	var found struct {
		Realm string `json:"realm"`
	}
	_, err := c.call(ctx, realm, remote.Call{}, nil, &found)
	return err == nil && found.Realm == realm, err
}
