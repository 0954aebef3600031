package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
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
	parts, ok := splitParts(instance, len(m.scope))
	if !ok {
		return row, fmt.Errorf("%w: instance %q is not a scope of table %s", nawasync.ErrInvalid, instance, m.table)
	}
	for i, f := range m.scope {
		text := json.RawMessage(parts[i])
		if f.FieldType.Kind() == reflect.String {
			text, _ = json.Marshal(parts[i])
		}
		if err := decodeField(row, f, text); err != nil {
			return row, fmt.Errorf("%w: instance %q is not a scope of table %s", nawasync.ErrInvalid, instance, m.table)
		}
	}
	m.respell(row)
	return row, nil
}

// attached implements nawasync.AttachedRepository, which the engine's overviews use.
type attached struct{ *repo }

func (r attached) Describe() nawasync.RepositoryInfo {
	return nawasync.RepositoryInfo{Service: r.service, Type: r.typ, Action: r.actions.Sync, Details: r.details, Scoped: len(r.model.scope) > 0}
}

func (r attached) SyncNow(ctx context.Context, instance, detail string, o nawasync.Options) (*tracker.Job, error) {
	scope, err := r.model.scopeOf(instance)
	if err != nil {
		return nil, err
	}
	// The pages have checked the right to this instance, so it must be the one that the job gets.
	if own := r.model.instance(scope); own != instance {
		return nil, fmt.Errorf("%w: instance %q of table %s is written %q", nawasync.ErrInvalid, instance, r.model.table, own)
	}
	return r.syncNow(ctx, scope, detail, o)
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
