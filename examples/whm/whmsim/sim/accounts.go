package sim

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

type account struct {
	user, domain, plan, contact string
	suspended                   bool
	reason                      string
	password                    [sha256.Size]byte
	numbers                     bool                // its disk limit is listed as a number of megabytes, as some real servers do
	boxes                       map[string]*mailbox // by address
}

type mailbox struct {
	name, domain      string
	quota             int64 // bytes; 0 is unlimited
	used              int64
	suspendedLogin    bool
	suspendedIncoming bool
	password          [sha256.Size]byte
	suspendedOutgoing bool
}

func (m *mailbox) email() string { return m.name + "@" + m.domain }

const mebibyte = 1 << 20

// businessLimit is the disk limit of the plan business, in megabytes.
const businessLimit = 20_000

// seed creates accounts and spreads the mailboxes over them. The result is the same for each start.
// An additional account has no mailboxes.
func seed(mailboxes int, names []string) []*account {
	if len(names) == 0 {
		names = []string{"alpha", "bravo", "carol", "delta"}
	}
	names = slices.Clone(names)
	for len(names) < min(mailboxes/2500, 40) {
		names = append(names, fmt.Sprintf("site%03d", len(names)+1))
	}
	list := make([]*account, len(names))
	for i, name := range names {
		list[i] = &account{
			user: name, domain: name + ".example", plan: []string{"basic", "business"}[i%2], contact: "webmaster@" + name + ".example",
			numbers: i%4 == 3, boxes: map[string]*mailbox{},
		}
	}
	people := []string{"info", "sales", "ann", "bob", "support", "office", "jobs", "press", "team", "hello"}
	for i := range mailboxes {
		a := list[i%len(list)]
		n := i / len(list)
		name := people[n%len(people)]
		if n >= len(people) {
			name = fmt.Sprintf("%s%d", name, n/len(people)+1)
		}
		m := &mailbox{name: name, domain: a.domain, quota: int64([]int{250, 500, 1000, 0}[i%4]) * mebibyte, used: int64(i*7919%230) * mebibyte}
		m.suspendedLogin = i%17 == 5
		m.suspendedIncoming = m.suspendedLogin
		a.boxes[m.email()] = m
	}
	return append(list, &account{user: "empty", domain: "empty.example", plan: "basic", boxes: map[string]*mailbox{}})
}

func (s *Server) byUser(user string) *account {
	for _, a := range s.accounts {
		if a.user == user {
			return a
		}
	}
	return nil
}

// find returns the mailbox with the address and its account, or nil for both.
func (s *Server) find(email string) (*account, *mailbox) {
	for _, a := range s.accounts {
		if m := a.boxes[email]; m != nil {
			return a, m
		}
	}
	return nil, nil
}

// row returns the account as listaccts lists it.
func (a *account) row() map[string]any {
	used := int64(0)
	for _, m := range a.boxes {
		used += m.used
	}
	row := map[string]any{
		"user": a.user, "domain": a.domain, "email": a.contact, "plan": a.plan, "ip": "192.0.2.10", "ipv6": []string{}, "owner": "root",
		"disklimit": "unlimited", "diskused": fmt.Sprintf("%dM", used/mebibyte), "inodesused": "17", "inodeslimit": "unlimited",
		"suspended": 0, "suspendreason": "not suspended", "suspendtime": nil, "startdate": "13 May 22 16:03", "unix_startdate": "1652457780",
		"is_locked": 0, "theme": "jupiter", "shell": "/bin/bash", "partition": "home", "uid": "1001", "maxpop": "*unknown*",
		"outgoing_mail_suspended": 0, "outgoing_mail_hold": 0, "temporary": 0,
	}
	if a.plan == "business" {
		row["disklimit"] = fmt.Sprintf("%dM", businessLimit)
		if a.numbers {
			row["disklimit"] = businessLimit
		}
	}
	if a.suspended {
		row["suspended"], row["suspendreason"], row["suspendtime"] = 1, a.reason, 1652457780
	}
	return row
}

func (s *Server) listAccounts(r *http.Request) answer {
	match := func(*account) bool { return true }
	if search := r.Form.Get("search"); search != "" {
		pattern, err := regexp.Compile(search)
		if err != nil {
			return whmFailed("listaccts", "Invalid search expression.")
		}
		field := map[string]func(*account) string{
			"user":   func(a *account) string { return a.user },
			"domain": func(a *account) string { return a.domain },
		}[r.Form.Get("searchtype")]
		if field == nil {
			return whmFailed("listaccts", "Invalid searchtype.")
		}
		match = func(a *account) bool { return pattern.MatchString(field(a)) }
	}
	rows := []any{}
	for _, a := range s.accounts {
		if match(a) {
			rows = append(rows, a.row())
		}
	}
	return whmOK("listaccts", "OK", map[string]any{"acct": rows})
}

func (s *Server) accountSummary(r *http.Request) answer {
	for _, a := range s.accounts {
		if a.user == r.Form.Get("user") || a.domain == r.Form.Get("domain") {
			return textResult(whmOK("accountsummary", "OK", map[string]any{"acct": []any{a.row()}}))
		}
	}
	return whmFailed("accountsummary", "Account does not exist.")
}

// sortedBoxes returns the account's mailboxes in the order of their addresses.
func (a *account) sortedBoxes() []*mailbox {
	list := make([]*mailbox, 0, len(a.boxes))
	for _, email := range slices.Sorted(maps.Keys(a.boxes)) {
		list = append(list, a.boxes[email])
	}
	return list
}
