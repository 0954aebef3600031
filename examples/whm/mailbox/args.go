package mailbox

import "github.com/nawasara/nawasync"

func kind(action string) nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "email_account", Action: action}
}

// At names one mailbox of one server. It is part of every mutation's arguments.
type At struct {
	Instance string `json:"instance"`
	Account  string `json:"account"` // the cPanel user that owns it
	Email    string `json:"email"`
}

// Target is the mailbox: its jobs run one at a time, in the order of dispatch.
func (a At) Target() nawasync.Target { return nawasync.Target{Instance: a.Instance, ID: a.Email} }

// Create makes a mailbox.
type Create struct {
	At
	QuotaMB  int64           `json:"quota_mb"` // 0 is unlimited
	Password nawasync.Secret `json:"password"`
}

// UpdateQuota sets the limit.
type UpdateQuota struct {
	At
	QuotaMB int64 `json:"quota_mb"` // 0 is unlimited
}

// UpdatePassword sets the password, which nobody can read back.
type UpdatePassword struct {
	At
	Password nawasync.Secret `json:"password"`
}

// Suspend stops login and incoming mail.
type Suspend struct{ At }

// Unsuspend undoes Suspend.
type Unsuspend struct{ At }

// Delete deletes a mailbox with its mail.
type Delete struct{ At }

// Sync copies all mailboxes of a server into the snapshot.
type Sync struct {
	Instance string `json:"instance"`
}

// Kind is whm/email_account/create.
func (Create) Kind() nawasync.Kind { return kind("create") }

// Kind is whm/email_account/update_quota.
func (UpdateQuota) Kind() nawasync.Kind { return kind("update_quota") }

// Kind is whm/email_account/update_password.
func (UpdatePassword) Kind() nawasync.Kind { return kind("update_password") }

// Kind is whm/email_account/suspend.
func (Suspend) Kind() nawasync.Kind { return kind("suspend") }

// Kind is whm/email_account/unsuspend.
func (Unsuspend) Kind() nawasync.Kind { return kind("unsuspend") }

// Kind is whm/email_account/delete.
func (Delete) Kind() nawasync.Kind { return kind("delete") }

// Kind is whm/email_account/sync_emails.
func (Sync) Kind() nawasync.Kind { return kind("sync_emails") }

// Target is all mailboxes of the server.
func (s Sync) Target() nawasync.Target { return nawasync.Target{Instance: s.Instance, ID: "all"} }

// Unique lets one sync wait while one runs: more would find nothing else.
func (s Sync) Unique() nawasync.Unique {
	return nawasync.Unique{Key: s.Instance, UntilRunning: true}
}
