package dns

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/snapshot"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/mirror"
)

// Service is the service of all jobs of this module.
const Service = "powerdns"

// The queues of the jobs. Changes have their own queue, so that they do not wait behind syncs.
const (
	Queue     = "powerdns"
	SyncQueue = "powerdns-sync"
)

// Module holds the repositories that the pages read and dispatch jobs with.
type Module struct {
	Zones nawasync.SyncedRepository[Zone]
	Sets  nawasync.SyncedRepository[Set]
}

// New creates the repositories. Without servers, the process only reads rows and dispatches jobs.
func New(e *nawasync.Engine, servers pdnsapi.Servers) (*Module, error) {
	zoneConfig, setConfig, err := configs(servers)
	if err != nil {
		return nil, err
	}
	zoneRepository, err := mirror.New(e, zoneConfig)
	if err != nil {
		return nil, err
	}
	setConfig.Scopes = mirror.ScopesOf(zoneRepository, func(z Zone) Set { return Set{Server: z.Server, Zone: z.Name} })
	setRepository, err := mirror.New(e, setConfig)
	return &Module{zoneRepository, setRepository}, err
}

// configs returns the configurations of the repositories, without the scopes of the sets. A write is read back at once:
// PowerDNS has one database.
func configs(servers pdnsapi.Servers) (mirror.Config[Zone], mirror.Config[Set], error) {
	zoneConfig := mirror.Config[Zone]{
		Service: Service, Type: "zone", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name"}, Settle: -1,
		Normalise: normaliseZone, NormaliseVersion: 1, Supports: (*zones)(nil),
		Actions: mirror.Actions{Create: "zone_create", Update: []string{"zone_update"}, Delete: "zone_delete", Sync: "sync_zones"},
	}
	setConfig := mirror.Config[Set]{
		Service: Service, Type: "record_set", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Search: []string{"name", "records"}, Settle: -1,
		Normalise: normaliseSet, NormaliseVersion: 1, Supports: (*sets)(nil), Spread: 20 * time.Minute, Calls: 7,
		Actions: mirror.Actions{Create: "set_create", Update: []string{"set_update"}, Delete: "set_delete", Sync: "sync_sets"},
	}
	wire, err := mirror.NewWire[Zone]()
	if servers != nil {
		zoneConfig.Remote, setConfig.Remote = &zones{servers, wire}, &sets{servers}
	}
	return zoneConfig, setConfig, err
}

// SyncAll dispatches a sync of each server's zones, and one of the sets of all zones, which waits for them. A sync that
// is already open is not dispatched again.
func (m *Module) SyncAll(ctx context.Context, servers []string, o nawasync.Options) error {
	var failed []error
	for _, server := range servers {
		_, err := m.Zones.SyncNow(ctx, Zone{Server: server}, "", o)
		failed = append(failed, err)
	}
	_, err := m.Sets.SyncNow(ctx, Set{}, "", o)
	return errors.Join(append(failed, err)...)
}

// Schedule adds the schedules: zones every 30 minutes, and the sets of all zones that there are at that time every 30
// minutes, spread over 20 of them.
func (m *Module) Schedule(e *nawasync.Engine, servers []string) error {
	for _, server := range servers {
		args, err := m.Zones.SyncArgs(Zone{Server: server}, "")
		if err != nil {
			return err
		}
		if err := e.Schedule(nawasync.Schedule{Name: "powerdns-zones-" + server, Spec: "*/30 * * * *", Args: args, Jitter: time.Minute}); err != nil {
			return err
		}
	}
	args, err := m.Sets.SyncArgs(Set{}, "")
	if err != nil {
		return err
	}
	return e.Schedule(nawasync.Schedule{Name: "powerdns-sets", Spec: "5,35 * * * *", Args: args, Jitter: time.Minute})
}

// CreateTables creates the snapshot tables if they do not exist. Several processes may call it at the same time.
func CreateTables(ctx context.Context, db *gorm.DB) error {
	return errors.Join(snapshot.CreateTable[Zone](ctx, db), snapshot.CreateTable[Set](ctx, db))
}
