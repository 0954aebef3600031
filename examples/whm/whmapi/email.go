package whmapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// Mailbox is one mail account of a cPanel account.
type Mailbox struct {
	Email             string
	QuotaBytes        int64 // 0 is unlimited
	UsedBytes         int64
	SuspendedLogin    bool
	SuspendedIncoming bool
}

// call sends a request and decodes its payload.
func (c *Client) call(ctx context.Context, r request, into any) (uapi, error) {
	r.secrets = append(r.secrets, c.token.Reveal())
	body, err := c.send(ctx, r)
	if err != nil {
		return uapi{}, err
	}
	answer, err := r.open(body)
	if err != nil || into == nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return answer, r.broken(fmt.Errorf("the answer's data is not what %s should return: %w", r.name, err))
	}
	return answer, nil
}

// email calls a function of UAPI's module Email as the account, through WHM.
func (c *Client) email(ctx context.Context, account, function string, write bool, form url.Values, into any) (uapi, error) {
	var secrets []string
	if form.Has("password") {
		secrets = append(secrets, form.Get("password"))
	}
	for key, value := range map[string]string{
		"api.version": "1", "cpanel_jsonapi_user": account, "cpanel_jsonapi_module": "Email", "cpanel_jsonapi_func": function, "cpanel_jsonapi_apiversion": "3",
	} {
		form.Set(key, value)
	}
	return c.call(ctx, request{name: "Email::" + function, path: "cpanel", form: form, write: write, secrets: secrets}, into)
}

const pageSize = 1000

// Mailboxes lists the mailboxes of an account in pages. A listing that did not
// yield what the server counted ends with an error: it proves nothing.
func (c *Client) Mailboxes(ctx context.Context, account string) iter.Seq2[[]Mailbox, error] {
	return c.mailboxes(ctx, account, "list_pops_with_disk")
}

// MailboxNames is Mailboxes without quota and usage: the server need not look
// through its disks for it.
func (c *Client) MailboxNames(ctx context.Context, account string) iter.Seq2[[]Mailbox, error] {
	return c.mailboxes(ctx, account, "list_pops")
}

func (c *Client) mailboxes(ctx context.Context, account, function string) iter.Seq2[[]Mailbox, error] {
	return func(yield func([]Mailbox, error) bool) {
		seen := map[string]bool{}
		others := 0 // rows that are no mailboxes are counted with them
		for page := 1; ; page++ {
			list, raw, answer, err := c.listPops(ctx, account, function, url.Values{
				"api.paginate": {"1"}, "api.paginate_size": {strconv.Itoa(pageSize)}, "api.paginate_page": {strconv.Itoa(page)},
			})
			for _, m := range list {
				seen[m.Email] = true
			}
			others += raw - len(list)
			count := answer.Metadata.Paginate
			if count == nil {
				count = &paginate{Total: number(len(seen) + others), Pages: 1} // one whole answer, as older servers give
			}
			last := page >= int(count.Pages)
			if err == nil && last && len(seen)+others != int(count.Total) {
				err = fmt.Errorf("whmapi: the mailboxes of %s changed while they were listed: %d came, %d were counted", account, len(seen)+others, count.Total)
			}
			if !yield(list, err) || err != nil || last {
				return
			}
		}
	}
}

// Mailbox returns one mailbox, or an error of class gone.
func (c *Client) Mailbox(ctx context.Context, account, email string) (Mailbox, error) {
	list, _, _, err := c.listPops(ctx, account, "list_pops_with_disk", url.Values{"email": {email}})
	if err != nil {
		return Mailbox{}, err
	}
	for _, m := range list {
		if m.Email == email { // the parameter matches parts of addresses too
			return m, nil
		}
	}
	return Mailbox{}, fault.WithClass(fault.ClassGone, fmt.Errorf("WHM has no mailbox %s in account %s", email, account))
}

func (c *Client) listPops(ctx context.Context, account, function string, form url.Values) (list []Mailbox, raw int, answer uapi, err error) {
	var data []struct {
		Email             string          `json:"email"`
		Login             string          `json:"login"`
		Quota             json.RawMessage `json:"_diskquota"`
		Used              json.RawMessage `json:"_diskused"`
		SuspendedLogin    flag            `json:"suspended_login"`
		SuspendedIncoming flag            `json:"suspended_incoming"`
	}
	if answer, err = c.email(ctx, account, function, false, form, &data); err != nil {
		return nil, 0, answer, err
	}
	for i, d := range data {
		if d.Login == "Main Account" || !strings.Contains(d.Email, "@") {
			continue // the account's own login is no mailbox
		}
		quota, err := parseSize(d.Quota, byteUnit)
		used, usedErr := parseSize(d.Used, byteUnit)
		if err := errors.Join(err, usedErr); err != nil {
			return nil, 0, answer, fmt.Errorf("whmapi: mailbox %d of %s: %w", i+1, account, err)
		}
		list = append(list, Mailbox{
			Email: strings.ToLower(d.Email), QuotaBytes: int64(quota), UsedBytes: int64(used),
			SuspendedLogin: bool(d.SuspendedLogin), SuspendedIncoming: bool(d.SuspendedIncoming),
		})
	}
	return list, len(data), answer, nil
}

// split is a mailbox's name and domain.
func split(email string) (name, domain string, err error) {
	name, domain, ok := strings.Cut(email, "@")
	if !ok || name == "" || domain == "" {
		return "", "", fault.WithClass(fault.ClassPermanent, fmt.Errorf("%q is not a mailbox; write name@domain", email))
	}
	return name, domain, nil
}

// AddMailbox creates a mailbox; quotaMB 0 is unlimited.
func (c *Client) AddMailbox(ctx context.Context, account, email string, password secret.Secret, quotaMB int64) error {
	return c.change(ctx, account, "add_pop", email, url.Values{"password": {password.Reveal()}, "quota": {strconv.FormatInt(quotaMB, 10)}})
}

// SetQuota sets the limit in megabytes; 0 is unlimited.
func (c *Client) SetQuota(ctx context.Context, account, email string, quotaMB int64) error {
	return c.change(ctx, account, "edit_pop_quota", email, url.Values{"quota": {strconv.FormatInt(quotaMB, 10)}})
}

// SetPassword sets the password.
func (c *Client) SetPassword(ctx context.Context, account, email string, password secret.Secret) error {
	return c.change(ctx, account, "passwd_pop", email, url.Values{"password": {password.Reveal()}})
}

// DeleteMailbox deletes the mailbox and its mail.
func (c *Client) DeleteMailbox(ctx context.Context, account, email string) error {
	return c.change(ctx, account, "delete_pop", email, url.Values{})
}

// SetLogin suspends or allows login. It may be repeated.
func (c *Client) SetLogin(ctx context.Context, account, email string, suspended bool) error {
	return c.wholeChange(ctx, account, map[bool]string{true: "suspend_login", false: "unsuspend_login"}[suspended], email)
}

// SetIncoming suspends or allows incoming mail. It may be repeated.
func (c *Client) SetIncoming(ctx context.Context, account, email string, suspended bool) error {
	return c.wholeChange(ctx, account, map[bool]string{true: "suspend_incoming", false: "unsuspend_incoming"}[suspended], email)
}

// change calls a function that takes the two parts of the address.
func (c *Client) change(ctx context.Context, account, function, email string, form url.Values) error {
	name, domain, err := split(email)
	if err != nil {
		return err
	}
	form.Set("email", name)
	form.Set("domain", domain)
	_, err = c.email(ctx, account, function, true, form, nil)
	return err
}

// wholeChange calls a function that takes the whole address.
func (c *Client) wholeChange(ctx context.Context, account, function, email string) error {
	_, err := c.email(ctx, account, function, true, url.Values{"email": {email}}, nil)
	return err
}
