package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// scopeOf returns a row with the scope fields of a job's Target.Instance.
func (m *model) scopeOf(instance string) (reflect.Value, error) {
	row := m.newRow()
	if len(m.scope) == 0 && instance == "" {
		return row, nil
	}
	if !setParts(row, m.scope, instance) {
		return row, fmt.Errorf("%w: instance %q is not a scope of table %s", nawasync.ErrInvalid, instance, m.table)
	}
	m.respell(row)
	return row, nil
}

// setParts sets fields of a row from the text that joinParts made of them. It returns false if the
// text does not fit the fields.
func setParts(row reflect.Value, fields []*field, text string) bool {
	parts, ok := splitParts(text, len(fields))
	if !ok {
		return false
	}
	for i, f := range fields {
		value := json.RawMessage(parts[i])
		if f.FieldType.Kind() == reflect.String {
			value, _ = json.Marshal(parts[i])
		}
		if decodeField(row, f, value) != nil {
			return false
		}
	}
	return true
}

// attached implements nawasync.AttachedRepository, which the engine's overviews use.
type attached struct{ *repo }

func (r attached) Describe() nawasync.RepositoryInfo {
	info := nawasync.RepositoryInfo{
		Service:     r.service,
		Type:        r.typ,
		Action:      r.actions.Sync,
		Details:     r.details,
		Scoped:      len(r.model.scope) > 0,
		Unsupported: r.unsupportedActions(),
	}
	if r.scopes != nil {
		info.Parent = r.scopes.parent.service + "/" + r.scopes.parent.typ
	}
	return info
}

func (r attached) SyncNow(ctx context.Context, instance, detail string, o nawasync.Options) (*tracker.Job, error) {
	if r.scopes != nil && instance == "" {
		return r.syncNow(ctx, r.model.newRow(), detail, o)
	}
	scope, err := r.ownScope(instance)
	if err != nil {
		return nil, err
	}
	return r.syncNow(ctx, scope, detail, o)
}

func (r attached) PlanNow(ctx context.Context, instance, detail string, o nawasync.Options) (*tracker.Job, error) {
	scope, err := r.ownScope(instance)
	if err != nil {
		return nil, err
	}
	return r.planNow(ctx, scope, detail, o)
}

// ownScope returns the scope that jobs identify by an instance.
func (r attached) ownScope(instance string) (scope reflect.Value, err error) {
	if scope, err = r.model.scopeOf(instance); err != nil {
		return scope, err
	}
	// The pages have checked the right to this instance, so it must be the one that the job gets.
	if own := r.model.instance(scope); own != instance {
		return scope, fmt.Errorf("%w: instance %q of table %s is written %q", nawasync.ErrInvalid, instance, r.model.table, own)
	}
	return scope, nil
}

func (r attached) InstancesWith(ctx context.Context, instances []string, id string) ([]string, error) {
	byIdentity := map[string]string{}
	var identities []tracker.Identity
	for _, instance := range instances {
		row, err := r.model.scopeOf(instance)
		if err != nil || !setParts(row, r.model.key, id) {
			continue // no row of the table can have these texts
		}
		r.model.respell(row)
		identity := r.model.keyIdentity(row)
		byIdentity[string(identity[:])] = instance
		identities = append(identities, identity)
	}
	var found []string
	query := "SELECT identity FROM " + r.quoted + " WHERE identity IN ? AND sync_status <> ?"
	for part := range slices.Chunk(identities, 500) {
		list, err := sqlkit.Column[tracker.Identity](sqlkit.Connect(ctx, r.engine.DB()), query, part, tracker.StateDeleted)
		if err != nil {
			return nil, fmt.Errorf("look for %s in %s: %w", id, r.model.table, err)
		}
		for _, identity := range list {
			found = append(found, byIdentity[string(identity[:])])
		}
	}
	slices.Sort(found)
	return found, nil
}

func (r attached) CountStates(ctx context.Context, instance string) (map[nawasync.SyncState]int64, error) {
	where, scope := "", []any{}
	if instance != "" {
		row, err := r.model.scopeOf(instance)
		if err != nil {
			return nil, err
		}
		if where, scope = r.equal(r.model.scope, row); where != "" {
			where = " AND " + where
		}
	}
	var parts []string
	var args []any
	for _, state := range []nawasync.SyncState{
		nawasync.StateSynced, nawasync.StatePendingCreate, nawasync.StatePendingUpdate, nawasync.StatePendingDelete,
		nawasync.StateFailed, nawasync.StateConflict, nawasync.StateMissing,
	} {
		parts = append(parts, "SELECT '"+string(state)+"' AS state, COUNT(*) AS n FROM (SELECT 1 FROM "+r.quoted+" WHERE sync_status = ?"+where+" LIMIT ?) s")
		args = append(append(append(args, string(state)), scope...), nawasync.MaxStateCount+1)
	}
	rows, err := sqlkit.Primary(ctx, r.engine.DB()).Raw(strings.Join(parts, " UNION ALL "), args...).Rows()
	if err != nil {
		return nil, fmt.Errorf("count the rows of %s: %w", r.model.table, err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[nawasync.SyncState]int64{}
	for rows.Next() {
		var state nawasync.SyncState
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", r.model.table, err)
		}
		if n > 0 {
			counts[state] = n
		}
	}
	return counts, rows.Err()
}
