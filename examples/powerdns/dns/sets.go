package dns

import (
	"context"
	"fmt"
	"iter"

	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// sets is the adapter of the record sets. PowerDNS has no call that creates a set only if there is none, or changes a part
// of one: each write reads the set first, and sends it as a whole.
type sets struct{ servers pdnsapi.Servers }

// setOf returns the row of a set. The answer does not have the zone, so that it comes from the scope.
func setOf(scope Set, s pdnsapi.Set) Set {
	row := Set{Server: scope.Server, Zone: scope.Zone, Name: s.Name, Type: s.Type, TTL: s.TTL}
	for _, record := range s.Records {
		if record.Disabled {
			row.Disabled = append(row.Disabled, record.Content)
		} else {
			row.Records = append(row.Records, record.Content)
		}
	}
	return row
}

func (r *sets) List(ctx context.Context, scope Set, _ string) iter.Seq2[mirror.Page[Set], error] {
	list := r.servers.On(scope.Server).Sets(ctx, scope.Zone)
	return mirror.Pages(list, mirror.ProofWhole, false, func(s pdnsapi.Set) Set { return setOf(scope, s) })
}

func (r *sets) Get(ctx context.Context, key Set) (mirror.Object[Set], error) {
	found, err := r.servers.On(key.Server).Set(ctx, key.Zone, key.Name, key.Type)
	return mirror.Object[Set]{Value: setOf(key, found)}, err
}

func (r *sets) Create(ctx context.Context, want Set) (mirror.Object[Set], error) {
	switch o, err := r.Get(ctx, want); {
	case err == nil:
		return o, fault.WithClass(fault.ClassAlreadyExists, fmt.Errorf("the record set %s %s exists", want.Name, want.Type))
	case fault.ClassOf(err) != fault.ClassGone:
		return o, err
	}
	return r.replace(ctx, want)
}

// Update puts the touched fields into the set as it is now: what another client has changed meanwhile stays.
func (r *sets) Update(ctx context.Context, _ mirror.Object[Set], want Set, touched mirror.FieldDiff) (mirror.Object[Set], error) {
	now, err := r.Get(ctx, want)
	if err != nil {
		return now, err
	}
	if touched.Has("ttl") {
		now.Value.TTL = want.TTL
	}
	if touched.Has("records") {
		now.Value.Records = want.Records
	}
	if touched.Has("disabled") {
		now.Value.Disabled = want.Disabled
	}
	return r.replace(ctx, now.Value)
}

// replace sends a set as a whole. The answer is empty, so that the repository reads the set again.
func (r *sets) replace(ctx context.Context, want Set) (o mirror.Object[Set], err error) {
	set := pdnsapi.Set{Name: want.Name, Type: want.Type, TTL: want.TTL}
	for _, content := range want.Records {
		set.Records = append(set.Records, pdnsapi.Record{Content: content})
	}
	for _, content := range want.Disabled {
		set.Records = append(set.Records, pdnsapi.Record{Content: content, Disabled: true})
	}
	return mirror.Object[Set]{Value: want}, r.servers.On(want.Server).ReplaceSet(ctx, want.Zone, set)
}

func (r *sets) Delete(ctx context.Context, key Set) error {
	if _, err := r.Get(ctx, key); err != nil {
		return err
	}
	return r.servers.On(key.Server).DeleteSet(ctx, key.Zone, key.Name, key.Type)
}

// ScopeExists implements mirror.ScopeRemote: it asks for the zone itself, not for its sets.
func (r *sets) ScopeExists(ctx context.Context, scope Set) (bool, error) {
	_, err := r.servers.On(scope.Server).Zone(ctx, scope.Zone)
	if fault.ClassOf(err) == fault.ClassGone {
		return false, nil
	}
	return err == nil, err
}
