package hosting

import (
	"context"
	"errors"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// The queues of the jobs. Changes have their own queue, so that they do not wait behind syncs.
const (
	Queue     = "whm"
	SyncQueue = "whm-sync"
)

// Module holds the repositories that the pages read and dispatch jobs with.
type Module struct {
	Accounts nawasync.SyncedRepository[WhmAccount]
	Emails   nawasync.SyncedRepository[WhmEmailAccount]
}

// settle is negative because a WHM server answers after it has carried a change out, and has no replicas.
const settle = -1

// New creates the repositories. With nil servers, the process only reads rows and dispatches jobs.
func New(e *nawasync.Engine, servers Servers) (*Module, error) {
	accountConfig, emailConfig := configs(servers)
	accountRepository, accountErr := mirror.New(e, accountConfig)
	emailRepository, emailErr := mirror.New(e, emailConfig)
	return &Module{accountRepository, emailRepository}, errors.Join(accountErr, emailErr)
}

// configs returns the configurations of the repositories.
func configs(servers Servers) (accountConfig mirror.Config[WhmAccount], emailConfig mirror.Config[WhmEmailAccount]) {
	accountConfig = mirror.Config[WhmAccount]{
		Service: "whm", Type: "account", Queue: Queue, SyncQueue: SyncQueue, Timeout: 90 * time.Second, Settle: settle, Search: []string{"username", "domain", "contact"},
		Actions: mirror.Actions{Update: []string{"update_package", "update_password", "suspend", "unsuspend"}, Delete: "terminate", Sync: "sync_accounts"},
	}
	emailConfig = mirror.Config[WhmEmailAccount]{
		Service: "whm", Type: "email_account", Queue: Queue, SyncQueue: SyncQueue, Timeout: 60 * time.Second, Settle: settle, Search: []string{"email"}, Details: []string{WithDisk},
		Actions: mirror.Actions{Update: []string{"update_quota", "update_password", "suspend", "unsuspend"}, Sync: "sync_emails"},
	}
	if servers != nil {
		accountConfig.Remote, emailConfig.Remote = &accounts{servers}, &emails{servers}
	}
	return accountConfig, emailConfig
}

// SyncAll dispatches a sync of the accounts and one of the mailboxes for each server. A sync that is already
// open is not dispatched again.
func (m *Module) SyncAll(ctx context.Context, instances []string, o nawasync.Options) error {
	var failed []error
	for _, instance := range instances {
		_, accountErr := m.Accounts.SyncNow(ctx, WhmAccount{Instance: instance}, "", o)
		_, emailErr := m.Emails.SyncNow(ctx, WhmEmailAccount{Instance: instance}, WithDisk, o)
		failed = append(failed, accountErr, emailErr)
	}
	return errors.Join(failed...)
}

// Schedule adds the schedules that sync each server: accounts every 30 minutes, mailboxes every
// hour, and mailboxes with quotas and disk usage at 02:00 UTC.
func (m *Module) Schedule(e *nawasync.Engine, instances []string) error {
	for _, instance := range instances {
		accountArgs, accountErr := m.Accounts.SyncArgs(WhmAccount{Instance: instance}, "")
		withoutDisk, withoutDiskErr := m.Emails.SyncArgs(WhmEmailAccount{Instance: instance}, "")
		withDisk, withDiskErr := m.Emails.SyncArgs(WhmEmailAccount{Instance: instance}, WithDisk)
		if err := errors.Join(accountErr, withoutDiskErr, withDiskErr); err != nil {
			return err
		}
		for _, s := range []nawasync.Schedule{
			{Name: "whm-accounts-" + instance, Spec: "*/30 * * * *", Args: accountArgs},
			{Name: "whm-emails-" + instance, Spec: "0 * * * *", Args: withoutDisk},
			{Name: "whm-emails-disk-" + instance, Spec: "0 2 * * *", Args: withDisk},
		} {
			s.Jitter = time.Minute
			if err := e.Schedule(s); err != nil {
				return err
			}
		}
	}
	return nil
}
