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
	Zones   nawasync.SyncedRepository[Zone]
	Records nawasync.SyncedRepository[Record]
}

// Config says with what a Module works.
type Config struct {
	// Accounts are the clients. With nil, the process only reads rows and dispatches jobs.
	Accounts Accounts
	// Settle is mirror.Config.Settle of the records.
	Settle time.Duration
}

// New creates the repositories.
func New(e *nawasync.Engine, config Config) (*Module, error) {
	zoneConfig, recordConfig := configs(config)
	zoneRepository, err := mirror.New(e, zoneConfig)
	if err != nil {
		return nil, err
	}
	recordConfig.Scopes = mirror.ScopesOf(zoneRepository, func(z Zone) Record { return Record{Account: z.Account, Zone: z.ZoneID} })
	recordRepository, err := mirror.New(e, recordConfig)
	return &Module{zoneRepository, recordRepository}, err
}

// configs returns the configurations of the repositories, without the scopes of the records.
func configs(config Config) (mirror.Config[Zone], mirror.Config[Record]) {
	zoneConfig := mirror.Config[Zone]{
		Service: Service, Type: "zone", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name"}, Settle: config.Settle,
		Actions: mirror.Actions{Sync: "sync_zones"}, Supports: (*zones)(nil),
	}
	recordConfig := mirror.Config[Record]{
		Service: Service, Type: "dns_record", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name", "content"}, Settle: config.Settle,
		Actions: mirror.Actions{Create: "dns_create", Update: []string{"dns_update"}, Delete: "dns_delete", Sync: "sync_dns_records"},
		// A call in ten may fail, and a change takes three: more attempts than usual cost nothing, and each reads first.
		MaxAttempts: 8,
		Normalise:   normalise, NormaliseVersion: 1, Supports: (*records)(nil), Spread: 20 * time.Minute,
	}
	if config.Accounts != nil {
		zoneConfig.Remote, recordConfig.Remote = &zones{config.Accounts}, &records{config.Accounts}
	}
	return zoneConfig, recordConfig
}

// SyncAll dispatches a sync of each account's zones, and one of the records of all zones, which waits for them. A
// sync that is already open is not dispatched again.
func (m *Module) SyncAll(ctx context.Context, accounts []string, o nawasync.Options) error {
	var failed []error
	for _, account := range accounts {
		_, err := m.Zones.SyncNow(ctx, Zone{Account: account}, "", o)
		failed = append(failed, err)
	}
	_, err := m.Records.SyncNow(ctx, Record{}, "", o)
	return errors.Join(append(failed, err)...)
}

// Schedule adds the schedules: zones every 30 minutes, and the records of all zones that there are at that time every
// 30 minutes, spread over 20 of them.
func (m *Module) Schedule(e *nawasync.Engine, accounts []string) error {
	for _, account := range accounts {
		args, err := m.Zones.SyncArgs(Zone{Account: account}, "")
		if err != nil {
			return err
		}
		if err := e.Schedule(nawasync.Schedule{Name: "cloudflare-zones-" + account, Spec: "*/30 * * * *", Args: args, Jitter: time.Minute}); err != nil {
			return err
		}
	}
	args, err := m.Records.SyncArgs(Record{}, "")
	if err != nil {
		return err
	}
	return e.Schedule(nawasync.Schedule{Name: "cloudflare-records", Spec: "5,35 * * * *", Args: args, Jitter: time.Minute})
}
