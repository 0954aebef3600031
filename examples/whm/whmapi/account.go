package whmapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// Account is a cPanel account, the owner of mailboxes.
type Account struct {
	User, Domain, Email, Plan, Owner, IP string
	DiskLimit                            *int64 // bytes; nil is unlimited
	DiskUsed                             int64  // bytes
	Suspended                            bool
	SuspendReason                        string // "" unless the account is suspended
}

// accountRow is an account in the answers of listaccts and accountsummary. A disk size without a
// unit is in megabytes.
type accountRow struct {
	User          string          `json:"user"`
	Domain        string          `json:"domain"`
	Email         string          `json:"email"`
	Plan          string          `json:"plan"`
	Owner         string          `json:"owner"`
	IP            string          `json:"ip"`
	DiskLimit     json.RawMessage `json:"disklimit"`
	DiskUsed      json.RawMessage `json:"diskused"`
	Suspended     flag            `json:"suspended"`
	SuspendReason string          `json:"suspendreason"`
}

type accountList struct {
	Accounts *[]accountRow `json:"acct"` // nil means that the answer has no list, which is an error
}

func (a accountRow) account() (Account, error) {
	limit, limitErr := parseSize(a.DiskLimit, mebibyte)
	used, usedErr := parseSize(a.DiskUsed, mebibyte)
	if a.User == "" {
		return Account{}, errors.New("the field user is empty")
	}
	out := Account{User: a.User, Domain: a.Domain, Email: a.Email, Plan: a.Plan, Owner: a.Owner, IP: a.IP, DiskUsed: int64(used), Suspended: bool(a.Suspended)}
	if limit > 0 {
		out.DiskLimit = new(int64(limit))
	}
	if out.Suspended { // otherwise WHM sends the reason "not suspended"
		out.SuspendReason = a.SuspendReason
	}
	return out, errors.Join(limitErr, usedErr)
}

// whmRequest returns a request that calls a WHM API 1 function. It adds the API version to the
// form.
func whmRequest(function string, form url.Values) request {
	form.Set("api.version", "1")
	return request{name: function, path: function, form: form, object: cmp.Or(form.Get("user"), form.Get("username"))}
}

// changeAccount calls a WHM API 1 function that changes an account.
func (c *Client) changeAccount(ctx context.Context, function string, form url.Values) error {
	r := whmRequest(function, form)
	r.write = true
	return c.call(ctx, r, nil)
}

// Accounts returns all cPanel accounts of the server.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return c.accounts(ctx, "listaccts", url.Values{})
}

// Account returns one account. If the account does not exist, the error has the class gone.
func (c *Client) Account(ctx context.Context, user string) (Account, error) {
	list, err := c.accounts(ctx, "accountsummary", url.Values{"user": {user}})
	if err != nil {
		return Account{}, err
	}
	for _, a := range list {
		if a.User == user {
			return a, nil
		}
	}
	return Account{}, fault.WithClass(fault.ClassGone, fmt.Errorf("WHM has no account %s", user))
}

func (c *Client) accounts(ctx context.Context, function string, form url.Values) ([]Account, error) {
	var answer payload[accountList]
	if err := c.call(ctx, whmRequest(function, form), &answer); err != nil {
		return nil, err
	}
	if answer.Data.Accounts == nil {
		return nil, fault.WithClass(fault.ClassTransient, errors.New("the answer has no list of accounts"))
	}
	list := make([]Account, len(*answer.Data.Accounts))
	for i, row := range *answer.Data.Accounts {
		var err error
		if list[i], err = row.account(); err != nil {
			return nil, fault.WithClass(fault.ClassTransient, fmt.Errorf("decode account %d of the list: %w", i+1, err))
		}
	}
	return list, nil
}

// CreateAccount creates an account. It discards the answer's data, because createacct returns the
// password in plain text.
func (c *Client) CreateAccount(ctx context.Context, a Account, password secret.Secret) error {
	form := url.Values{"username": {a.User}, "domain": {a.Domain}, "password": {password.Reveal()}}
	if a.Plan != "" {
		form.Set("plan", a.Plan)
	}
	if a.Email != "" {
		form.Set("contactemail", a.Email)
	}
	return c.changeAccount(ctx, "createacct", form)
}

// SuspendAccount suspends the account's sites, mail and logins.
func (c *Client) SuspendAccount(ctx context.Context, user, reason string) error {
	return c.changeAccount(ctx, "suspendacct", url.Values{"user": {user}, "reason": {reason}})
}

// UnsuspendAccount ends the suspension of an account.
func (c *Client) UnsuspendAccount(ctx context.Context, user string) error {
	return c.changeAccount(ctx, "unsuspendacct", url.Values{"user": {user}})
}

// RemoveAccount deletes an account with its sites, mailboxes and DNS zone.
func (c *Client) RemoveAccount(ctx context.Context, user string) error {
	return c.changeAccount(ctx, "removeacct", url.Values{"username": {user}, "keepdns": {"0"}})
}

// ChangePackage assigns another plan to an account.
func (c *Client) ChangePackage(ctx context.Context, user, plan string) error {
	return c.changeAccount(ctx, "changepackage", url.Values{"user": {user}, "pkg": {plan}})
}

// SetAccountPassword sets an account's password.
func (c *Client) SetAccountPassword(ctx context.Context, user string, password secret.Secret) error {
	return c.changeAccount(ctx, "passwd", url.Values{"user": {user}, "password": {password.Reveal()}})
}
