package mirror

import (
	"context"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync"
)

// maxFeedScopes is how many scopes are synced one by one when the cursor of a feed over several has expired.
const maxFeedScopes = 1000

// syncs returns the syncs that stand in for a feed: that of its scope or, if fields of that are empty, of each scope
// that it covers. If the scopes are those of a listing, a feed over all of them has one sync of all scopes.
func (f *feed) syncs(ctx context.Context) (list []nawasync.Args, err error) {
	scopes, err := f.scopes(ctx)
	if err != nil {
		return nil, err
	}
	if len(scopes) > maxFeedScopes {
		return nil, nawasync.Permanent(fmt.Errorf("%s, and it covers more than %d scopes; sync them, and give each part of them a feed of its own", f.full, maxFeedScopes))
	}
	for _, scope := range scopes {
		args, err := f.repo.syncArgs(scope, "")
		if err != nil {
			return nil, err
		}
		list = append(list, args)
	}
	return list, nil
}

// scopes returns the scopes that the feed covers, up to one more than maxFeedScopes.
func (f *feed) scopes(ctx context.Context) ([]reflect.Value, error) {
	var set []*field
	for _, field := range f.repo.model.scope {
		if keyPart(field.value(f.scope)) != "" {
			set = append(set, field)
		}
	}
	switch {
	case len(set) == len(f.repo.model.scope), f.repo.coversAll(f.scope):
		return []reflect.Value{f.scope}, nil
	case f.repo.scopes != nil:
		return f.listedScopes(ctx, set)
	default:
		return f.scopesOfRows(ctx, set)
	}
}

// listedScopes returns the listed scopes that have the feed's values in the given fields.
func (f *feed) listedScopes(ctx context.Context, set []*field) (list []reflect.Value, err error) {
	r := f.repo
	for after := ""; ; {
		page, err := r.engine.Store().ListedScopes(ctx, r.service, r.typ, after, followPage)
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			after = l.Instance
			scope, err := r.model.scopeOf(l.Instance)
			if err != nil || l.Gone() || !sameFields(scope, f.scope, set) {
				continue // no scope of this release, or none of the feed
			}
			list = append(list, scope)
		}
		if len(page) < followPage || len(list) > maxFeedScopes {
			return list, nil
		}
	}
}

// sameFields reports whether two rows have equal values in the given fields.
func sameFields(a, b reflect.Value, fields []*field) bool {
	for _, f := range fields {
		if !f.equal(a, b) {
			return false
		}
	}
	return true
}

// scopesOfRows returns the scopes that have rows and the feed's values in the given fields. Nothing else tells
// which scopes there are.
func (f *feed) scopesOfRows(ctx context.Context, set []*field) (list []reflect.Value, err error) {
	m := f.repo.model
	var columns []string
	for _, field := range m.scope {
		columns = append(columns, field.column)
	}
	where, args := f.repo.equal(set, f.scope)
	if where == "" {
		where = "1 = 1"
	}
	found := reflect.New(reflect.SliceOf(m.schema.ModelType))
	err = f.repo.db(ctx).Table(m.table).Distinct(columns).Where(where, args...).Limit(maxFeedScopes + 1).Find(found.Interface()).Error
	if err != nil {
		return nil, fmt.Errorf("read the scopes of %s: %w", m.table, err)
	}
	for i := range found.Elem().Len() {
		list = append(list, found.Elem().Index(i))
	}
	return list, nil
}
