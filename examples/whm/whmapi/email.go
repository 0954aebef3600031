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
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// Mailbox is an email account of a cPanel account.
type Mailbox struct {
	Email             string
	QuotaBytes        int64 // 0 is unlimited
	UsedBytes         int64
	SuspendedLogin    bool
	SuspendedIncoming bool
}

// emailRequest returns a request that calls a function of UAPI's Email module as the given account.
// It adds the parameters of WHM's cpanel endpoint to the form.
func emailRequest(account, function string, form url.Values) request {
	for key, value := range map[string]string{
		"api.version": "1", "cpanel_jsonapi_user": account, "cpanel_jsonapi_module": "Email", "cpanel_jsonapi_func": function, "cpanel_jsonapi_apiversion": "3",
	} {
		form.Set(key, value)
	}
	return request{name: "Email::" + function, path: "cpanel", form: form, object: mailboxOf(account, form)}
}

// mailboxOf names the mailbox that a call is about, or its account.
func mailboxOf(account string, form url.Values) string {
	return strings.TrimRight(account+" "+form.Get("email")+" "+form.Get("domain"), " ")
}

const pageSize = 1000

// Mailboxes lists the mailboxes of an account in pages. If the number of mailboxes differs from the
// server's count, the last page has an error: the listing is not complete.
func (c *Client) Mailboxes(ctx context.Context, account string) iter.Seq2[[]Mailbox, error] {
	return c.mailboxes(ctx, account, "list_pops_with_disk")
}

// MailboxNames is like Mailboxes, but leaves quota and disk usage at 0. It is faster, because the
// server does not measure disk usage.
func (c *Client) MailboxNames(ctx context.Context, account string) iter.Seq2[[]Mailbox, error] {
	return c.mailboxes(ctx, account, "list_pops")
}

func (c *Client) mailboxes(ctx context.Context, account, function string) iter.Seq2[[]Mailbox, error] {
	return func(yield func([]Mailbox, error) bool) {
		rows := remote.PagesByNumber("", func(number int) (remote.Page[popRow], error) {
			return c.popPage(ctx, account, function, url.Values{
				"api.paginate": {"1"}, "api.paginate_size": {strconv.Itoa(pageSize)}, "api.paginate_page": {strconv.Itoa(number)},
			})
		})
		seen := map[string]bool{} // logins of all rows: the server's count includes those that are not mailboxes
		for page, err := range rows {
			var list []Mailbox
			if err == nil {
				list, err = mailboxesOf(account, page.Items)
			}
			for _, row := range page.Items {
				seen[strings.ToLower(row.Email)] = true
			}
			if last := page.Next == ""; err == nil && last && page.Total != nil && int64(len(seen)) != *page.Total {
				err = fmt.Errorf("list mailboxes of account %s: the list changed while it was read: received %d rows of %d", account, len(seen), *page.Total)
			}
			if !yield(list, err) || err != nil {
				return
			}
		}
	}
}

// Mailbox returns one mailbox. If the mailbox does not exist, the error has the class gone.
func (c *Client) Mailbox(ctx context.Context, account, email string) (Mailbox, error) {
	page, err := c.popPage(ctx, account, "list_pops_with_disk", url.Values{"email": {email}})
	if err != nil {
		return Mailbox{}, err
	}
	list, err := mailboxesOf(account, page.Items)
	if err != nil {
		return Mailbox{}, err
	}
	for _, m := range list {
		if m.Email == email { // the server also returns addresses that only contain the parameter
			return m, nil
		}
	}
	return Mailbox{}, fault.WithClass(fault.ClassGone, fmt.Errorf("WHM has no mailbox %s in account %s", email, account))
}

// popRow is a row of list_pops.
type popRow struct {
	Email             string          `json:"email"`
	Login             string          `json:"login"`
	Quota             json.RawMessage `json:"_diskquota"`
	Used              json.RawMessage `json:"_diskused"`
	SuspendedLogin    flag            `json:"suspended_login"`
	SuspendedIncoming flag            `json:"suspended_incoming"`
}

// popPage returns one answer of list_pops. Older servers send one answer without pages.
func (c *Client) popPage(ctx context.Context, account, function string, form url.Values) (page remote.Page[popRow], err error) {
	var answer payload[[]popRow]
	if err := c.call(ctx, emailRequest(account, function, form), &answer); err != nil {
		return page, err
	}
	page.Items, page.Pages = answer.Data, 1
	if count := answer.Metadata.Paginate; count != nil {
		page.Pages, page.Total = int(count.Pages), new(int64(count.Total))
	}
	return page, nil
}

// mailboxesOf returns the mailboxes of an answer. The account's own login is not a mailbox.
func mailboxesOf(account string, rows []popRow) (list []Mailbox, err error) {
	for i, row := range rows {
		if row.Login == "Main Account" || !strings.Contains(row.Email, "@") {
			continue
		}
		quota, quotaErr := parseSize(row.Quota, byteUnit)
		used, usedErr := parseSize(row.Used, byteUnit)
		if err := errors.Join(quotaErr, usedErr); err != nil {
			return nil, fmt.Errorf("decode mailbox %d of account %s: %w", i+1, account, err)
		}
		list = append(list, Mailbox{
			Email: strings.ToLower(row.Email), QuotaBytes: int64(quota), UsedBytes: int64(used),
			SuspendedLogin: bool(row.SuspendedLogin), SuspendedIncoming: bool(row.SuspendedIncoming),
		})
	}
	return list, nil
}

// splitAddress returns the name and the domain of a mailbox.
func splitAddress(email string) (name, domain string, err error) {
	name, domain, ok := strings.Cut(email, "@")
	if !ok || name == "" || domain == "" {
		return "", "", fault.WithClass(fault.ClassPermanent, fmt.Errorf("%q is not a mailbox address; use name@domain", email))
	}
	return name, domain, nil
}

// AddMailbox creates a mailbox. A quotaMB of 0 is unlimited.
func (c *Client) AddMailbox(ctx context.Context, account, email string, password secret.Secret, quotaMB int64) error {
	return c.changeSplit(ctx, account, "add_pop", email, url.Values{"password": {password.Reveal()}, "quota": {strconv.FormatInt(quotaMB, 10)}})
}

// SetQuota sets the quota in megabytes. 0 is unlimited.
func (c *Client) SetQuota(ctx context.Context, account, email string, quotaMB int64) error {
	return c.changeSplit(ctx, account, "edit_pop_quota", email, url.Values{"quota": {strconv.FormatInt(quotaMB, 10)}})
}

// SetPassword sets the password of a mailbox.
func (c *Client) SetPassword(ctx context.Context, account, email string, password secret.Secret) error {
	return c.changeSplit(ctx, account, "passwd_pop", email, url.Values{"password": {password.Reveal()}})
}

// DeleteMailbox deletes a mailbox and its mail.
func (c *Client) DeleteMailbox(ctx context.Context, account, email string) error {
	return c.changeSplit(ctx, account, "delete_pop", email, url.Values{})
}

// SetLogin suspends or allows the login to a mailbox. Repeated calls are safe.
func (c *Client) SetLogin(ctx context.Context, account, email string, suspended bool) error {
	function := "unsuspend_login"
	if suspended {
		function = "suspend_login"
	}
	return c.changeMailbox(ctx, account, function, url.Values{"email": {email}})
}

// SetIncoming suspends or allows the incoming mail of a mailbox. Repeated calls are safe.
func (c *Client) SetIncoming(ctx context.Context, account, email string, suspended bool) error {
	function := "unsuspend_incoming"
	if suspended {
		function = "suspend_incoming"
	}
	return c.changeMailbox(ctx, account, function, url.Values{"email": {email}})
}

// changeSplit calls a function that takes the name and the domain of the address separately.
func (c *Client) changeSplit(ctx context.Context, account, function, email string, form url.Values) error {
	name, domain, err := splitAddress(email)
	if err != nil {
		return err
	}
	form.Set("email", name)
	form.Set("domain", domain)
	return c.changeMailbox(ctx, account, function, form)
}

// changeMailbox calls a function that changes a mailbox. The form names the mailbox.
func (c *Client) changeMailbox(ctx context.Context, account, function string, form url.Values) error {
	r := emailRequest(account, function, form)
	r.write = true
	return c.call(ctx, r, nil)
}
