package dns

import (
	"context"
	"errors"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// Service is the service of all jobs of this module.
const Service = "cloudflare"

// The queues of the jobs. Changes have their own queue, so that they do not wait behind syncs.
const (
	Queue     = "cloudflare"
	SyncQueue = "cloudflare-sync"
)

// Module holds the repositories that the pages read and dispatch jobs with.
type Module struct {
	Accounts nawasync.SyncedRepository[Account]
	Zones    nawasync.SyncedRepository[Zone]
	Records  nawasync.SyncedRepository[Record]
}

// Config says with what a Module works.
type Config struct {
	// Tokens are the clients. With nil, the process only reads rows and dispatches jobs.
	Tokens Tokens
	// Settle is mirror.Config.Settle of the records.
	Settle time.Duration
}

// New creates the repositories, parents first.
func New(e *nawasync.Engine, config Config) (*Module, error) {
	accountConfig, zoneConfig, recordConfig := configs(config)
	accountRepository, err := mirror.New(e, accountConfig)
	if err != nil {
		return nil, err
	}
	zoneConfig.Scopes = mirror.ScopesOf(accountRepository, func(a Account) Zone { return Zone{Token: a.Token, Account: a.AccountID} })
	zoneRepository, err := mirror.New(e, zoneConfig)
	if err != nil {
		return nil, err
	}
	recordConfig.Scopes = mirror.ScopesOf(zoneRepository, func(z Zone) Record { return Record{Token: z.Token, Account: z.Account, Zone: z.ZoneID} })
	recordRepository, err := mirror.New(e, recordConfig)
	return &Module{accountRepository, zoneRepository, recordRepository}, err
}

// configs returns the configurations of the repositories, without their scopes.
func configs(config Config) (accountConfig mirror.Config[Account], zoneConfig mirror.Config[Zone], recordConfig mirror.Config[Record]) {
	accountConfig = mirror.Config[Account]{
		Service: Service, Type: "account", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name"}, Settle: config.Settle,
		Actions: mirror.Actions{Sync: "sync_accounts"}, Supports: (*accounts)(nil),
	}
	zoneConfig = mirror.Config[Zone]{
		Service: Service, Type: "zone", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name"}, Settle: config.Settle,
		Actions: mirror.Actions{Sync: "sync_zones"}, Supports: (*zones)(nil),
	}
	recordConfig = mirror.Config[Record]{
		Service: Service, Type: "dns_record", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name", "content"}, Settle: config.Settle,
		Actions: mirror.Actions{Create: "dns_create", Update: []string{"dns_update"}, Delete: "dns_delete", Sync: "sync_dns_records"},
		// A call in ten may fail, and a change takes three: more attempts than usual cost nothing, and each reads first.
		MaxAttempts: 8,
		Normalise:   normalise, NormaliseVersion: 1, Supports: (*records)(nil), Spread: 20 * time.Minute,
	}
	if config.Tokens != nil {
		accountConfig.Remote, zoneConfig.Remote, recordConfig.Remote = &accounts{config.Tokens}, &zones{config.Tokens}, &records{config.Tokens}
	}
	return accountConfig, zoneConfig, recordConfig
}

// SyncAll dispatches a sync of each token's accounts, one of the zones of all accounts, which waits for them, and one of
// the records of all zones, which waits for those. A sync that is already open is not dispatched again.
func (m *Module) SyncAll(ctx context.Context, tokens []string, o nawasync.Options) error {
	var failed []error
	for _, token := range tokens {
		_, err := m.Accounts.SyncNow(ctx, Account{Token: token}, "", o)
		failed = append(failed, err)
	}
	_, zoneErr := m.Zones.SyncNow(ctx, Zone{}, "", o)
	_, recordErr := m.Records.SyncNow(ctx, Record{}, "", o)
	return errors.Join(append(failed, zoneErr, recordErr)...)
}

// Schedule adds the schedules: accounts, the zones of all accounts and the records of all zones that there are at that
// time, each every 30 minutes. The records are spread over 20 of them.
func (m *Module) Schedule(e *nawasync.Engine, tokens []string) error {
	for _, token := range tokens {
		args, err := m.Accounts.SyncArgs(Account{Token: token}, "")
		if err != nil {
			return err
		}
		if err := e.Schedule(nawasync.Schedule{Name: "cloudflare-accounts-" + token, Spec: "*/30 * * * *", Args: args, Jitter: time.Minute}); err != nil {
			return err
		}
	}
	zoneArgs, zoneErr := m.Zones.SyncArgs(Zone{}, "")
	recordArgs, recordErr := m.Records.SyncArgs(Record{}, "")
	if err := errors.Join(zoneErr, recordErr); err != nil {
		return err
	}
	return errors.Join(
		e.Schedule(nawasync.Schedule{Name: "cloudflare-zones", Spec: "2,32 * * * *", Args: zoneArgs, Jitter: time.Minute}),
		e.Schedule(nawasync.Schedule{Name: "cloudflare-records", Spec: "5,35 * * * *", Args: recordArgs, Jitter: time.Minute}),
	)
}
