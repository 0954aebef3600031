package dns

import (
	"context"
	"iter"

	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/mirror"
)

// zones is the adapter of the zones.
type zones struct {
	servers pdnsapi.Servers
	wire    *mirror.Wire[Zone]
}

func zoneOf(scope Zone, z pdnsapi.Zone) Zone {
	return Zone{Server: scope.Server, Name: z.Name, Kind: z.Kind, Account: z.Account, DNSSEC: z.DNSSEC, EditedSerial: z.EditedSerial}
}

func (r *zones) List(ctx context.Context, scope Zone, _ string) iter.Seq2[mirror.Page[Zone], error] {
	list := r.servers.On(scope.Server).Zones(ctx)
	return mirror.Pages(list, mirror.ProofWhole, false, func(z pdnsapi.Zone) Zone { return zoneOf(scope, z) })
}

func (r *zones) Get(ctx context.Context, key Zone) (mirror.Object[Zone], error) {
	found, err := r.servers.On(key.Server).Zone(ctx, key.Name)
	return mirror.Object[Zone]{Value: zoneOf(key, found)}, err
}

func (r *zones) Create(ctx context.Context, want Zone) (o mirror.Object[Zone], err error) {
	fields, err := r.wire.All(want)
	if err != nil {
		return o, err
	}
	created, err := r.servers.On(want.Server).CreateZone(ctx, fields)
	return mirror.Object[Zone]{Value: zoneOf(want, created)}, err
}

func (r *zones) Update(ctx context.Context, _ mirror.Object[Zone], want Zone, touched mirror.FieldDiff) (o mirror.Object[Zone], err error) {
	fields, err := r.wire.Changed(want, touched)
	if err != nil {
		return o, err
	}
	return o, r.servers.On(want.Server).EditZone(ctx, want.Name, fields)
}

func (r *zones) Delete(ctx context.Context, key Zone) error {
	return r.servers.On(key.Server).DeleteZone(ctx, key.Name)
}

// ScopeExists implements mirror.ScopeRemote: a server exists as long as it answers.
func (r *zones) ScopeExists(ctx context.Context, scope Zone) (bool, error) {
	_, err := r.servers.On(scope.Server).Version(ctx)
	return err == nil, err
}
