package whmapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// Account is a cPanel account: it owns mailboxes.
type Account struct {
	User, Domain, Email, Plan, Owner, IP string
	DiskLimit                            *int64 // bytes; nil is unlimited
	DiskUsed                             int64  // bytes
	Suspended                            bool
	SuspendReason                        string // "" for a live one
}

// accountRow is an account as listaccts and accountsummary send it. Its amounts of
// disk are megabytes where they name no unit.
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
	Accounts *[]accountRow `json:"acct"` // nil is an answer that is none
}

func (a accountRow) account() (Account, error) {
	limit, limitErr := parseSize(a.DiskLimit, mebibyte)
	used, usedErr := parseSize(a.DiskUsed, mebibyte)
	if a.User == "" {
		return Account{}, errors.New("it has no user")
	}
	out := Account{User: a.User, Domain: a.Domain, Email: a.Email, Plan: a.Plan, Owner: a.Owner, IP: a.IP, DiskUsed: int64(used), Suspended: bool(a.Suspended)}
	if limit > 0 {
		out.DiskLimit = new(int64(limit))
	}
	if out.Suspended { // a live account's reason is "not suspended"
		out.SuspendReason = a.SuspendReason
	}
	return out, errors.Join(limitErr, usedErr)
}

// whm calls a function of WHM API 1.
func (c *Client) whm(ctx context.Context, function string, write bool, form url.Values, into any) error {
	r := request{name: function, path: function, form: form, write: write}
	if form.Has("password") {
		r.secrets = append(r.secrets, form.Get("password"))
	}
	form.Set("api.version", "1")
	_, err := c.call(ctx, r, into)
	return err
}

// Accounts lists all cPanel accounts of the server, in one answer.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return c.accounts(ctx, "listaccts", url.Values{})
}

// Account returns one account, or an error of class gone.
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
	var data accountList
	if err := c.whm(ctx, function, false, form, &data); err != nil {
		return nil, err
	}
	if data.Accounts == nil {
		return nil, request{name: function}.broken(errors.New("the answer holds no list of accounts"))
	}
	list := make([]Account, len(*data.Accounts))
	for i, row := range *data.Accounts {
		var err error
		if list[i], err = row.account(); err != nil {
			return nil, request{name: function}.broken(fmt.Errorf("account %d of the list: %w", i+1, err))
		}
	}
	return list, nil
}

// CreateAccount makes an account. What createacct prints holds the password in the
// clear, so nothing of it is kept.
func (c *Client) CreateAccount(ctx context.Context, a Account, password secret.Secret) error {
	form := url.Values{"username": {a.User}, "domain": {a.Domain}, "password": {password.Reveal()}}
	if a.Plan != "" {
		form.Set("plan", a.Plan)
	}
	if a.Email != "" {
		form.Set("contactemail", a.Email)
	}
	return c.whm(ctx, "createacct", true, form, nil)
}

// SuspendAccount stops an account's sites, mail and logins.
func (c *Client) SuspendAccount(ctx context.Context, user, reason string) error {
	return c.whm(ctx, "suspendacct", true, url.Values{"user": {user}, "reason": {reason}}, nil)
}

// UnsuspendAccount undoes SuspendAccount.
func (c *Client) UnsuspendAccount(ctx context.Context, user string) error {
	return c.whm(ctx, "unsuspendacct", true, url.Values{"user": {user}}, nil)
}

// RemoveAccount deletes an account with all it has, its DNS zone too.
func (c *Client) RemoveAccount(ctx context.Context, user string) error {
	return c.whm(ctx, "removeacct", true, url.Values{"username": {user}, "keepdns": {"0"}}, nil)
}

// ChangePackage puts an account on another plan.
func (c *Client) ChangePackage(ctx context.Context, user, plan string) error {
	return c.whm(ctx, "changepackage", true, url.Values{"user": {user}, "pkg": {plan}}, nil)
}

// SetAccountPassword sets an account's password.
func (c *Client) SetAccountPassword(ctx context.Context, user string, password secret.Secret) error {
	return c.whm(ctx, "passwd", true, url.Values{"user": {user}, "password": {password.Reveal()}}, nil)
}
