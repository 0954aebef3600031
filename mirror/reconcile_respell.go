package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// respellRows is the first step of a sync if Config.Normalise is set: it rewrites the rows that have an
// older NormaliseVersion, with their keys, in small transactions. The first sync of a process does so in
// the whole table, because the spelling of scopes may have changed too; so does each later one while a row
// collides with another. The listing then finds the rows by their new keys, and does not count differences
// as drift.
func (s *reconcile) respellRows(ctx context.Context) error {
	if s.repo.model.spell == nil {
		return nil
	}
	whole := !s.repo.tableRespelled.Load()
	old, creating, err := s.countOldRows(ctx, whole)
	if err != nil {
		return err
	}
	if s.attempt == nil {
		if old {
			return nawasync.Permanent(errors.New("plan the sync: rows have an older NormaliseVersion, and a sync rewrites them before it compares them; sync first"))
		}
		return nil
	}
	collisions := 0
	for after := int64(0); old || creating; {
		ids, err := s.oldRows(ctx, whole, after)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		collided, err := s.respellBatch(ctx, ids)
		if err != nil {
			return err
		}
		collisions += len(collided)
		after = ids[len(ids)-1]
	}
	s.repo.tableRespelled.Store(collisions == 0)
	return nil
}

// inRespelled returns the condition for the rows to rewrite. It ends with AND.
func (s *reconcile) inRespelled(whole bool) (where string, args []any) {
	if whole {
		return "", nil
	}
	return s.inScope()
}

// countOldRows reports whether rows have an older NormaliseVersion, and whether objects are being created,
// whose rows have no version yet. A newer version is an error.
func (s *reconcile) countOldRows(ctx context.Context, whole bool) (old, creating bool, err error) {
	where, args := s.inRespelled(whole)
	var lowest, highest, pending *int64
	err = s.repo.db(ctx).Table(s.repo.model.table).Where(where+"1 = 1", args...).
		Select("MIN(hash_version), MAX(hash_version), SUM(CASE WHEN hash_version IS NULL AND sync_status = 'pending_create' THEN 1 ELSE 0 END)").
		Row().Scan(&lowest, &highest, &pending)
	if err != nil {
		return false, false, fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	if highest != nil {
		old, err = *lowest < s.repo.model.normaliseFloor(), s.repo.checkVersion(*highest)
	}
	return old, pending != nil && *pending > 0, err
}

// oldRows returns the ids of rows with an older NormaliseVersion, and of rows whose object is being
// created, in ascending order.
func (s *reconcile) oldRows(ctx context.Context, whole bool, after int64) (ids []int64, err error) {
	where, args := s.inRespelled(whole)
	err = s.repo.db(ctx).Table(s.repo.model.table).
		Where(where+"id > ? AND (hash_version < ? OR hash_version IS NULL AND sync_status = 'pending_create')", append(args, after, s.repo.model.normaliseFloor())...).
		Order("id").Limit(respellRowsAtOnce).Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	return ids, nil
}

// respellRowsAtOnce is how many rows one transaction rewrites.
const respellRowsAtOnce = 500

// respelling is the part of respellBatch that a retried transaction starts again.
type respelling struct {
	params   [][]any
	changed  []int64     // rows of params that were in conflict with another row
	collided []collision // rows whose new key another row has
	takenBy  map[tracker.Identity]int64
}

// collision is a row whose key is that of another row.
type collision struct {
	row, other int64
	inScope    bool // whether the row belongs to the scope of the sync
	target     string
	text       string // the row's sync_error
	known      bool   // the row has this error already
}

// respellBatch rewrites rows in one transaction. It returns those that collide with another row.
func (s *reconcile) respellBatch(ctx context.Context, ids []int64) (collided []collision, err error) {
	var b respelling
	for range 3 {
		err = s.fenced(ctx, func(tx *gorm.DB) error {
			b = respelling{takenBy: map[tracker.Identity]int64{}}
			rows, _, err := s.lockRows(ctx, tx.Unscoped().Session(&gorm.Session{}), ids, true) // deleted rows may return
			if err != nil {
				return err
			}
			if err := s.findTaken(tx, rows, &b); err != nil {
				return err
			}
			for i := range rows.Len() {
				if err := s.respellRow(rows.Index(i), &b); err != nil {
					return err
				}
			}
			return s.writeRespelled(tx, &b)
		})
		if !sqlkit.IsUniqueViolation(err) { // else another transaction has just added a row
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for _, c := range b.collided {
		if c.inScope {
			s.addCollision(c)
		}
	}
	return b.collided, nil
}

// newIdentity returns the identity that a row has in its new spelling. A row without an object keeps its own.
func (s *reconcile) newIdentity(row, respelled reflect.Value) tracker.Identity {
	m, identity := s.repo.model, s.repo.status(row).Identity
	if identity == m.wantedIdentity(row) {
		return m.wantedIdentity(respelled)
	}
	return identity
}

// findTaken finds the rows that have one of the new identities already.
func (s *reconcile) findTaken(tx *gorm.DB, rows reflect.Value, b *respelling) error {
	var items []listedItem
	for i := range rows.Len() {
		row := rows.Index(i)
		if identity := s.newIdentity(row, s.repo.model.respelled(row)); identity != s.repo.status(row).Identity {
			items = append(items, listedItem{key: identity})
		}
	}
	if len(items) == 0 {
		return nil
	}
	taken, err := s.rowsByKey(tx, []string{"id", "identity"}, items)
	for identity, row := range taken {
		b.takenBy[identity] = s.repo.model.idOf(row)
	}
	return err
}

// respellRow adds the new values of a row to b. If another row has its new key, the row keeps its old
// values, and a person decides.
func (s *reconcile) respellRow(row reflect.Value, b *respelling) error {
	m, status := s.repo.model, s.repo.status(row)
	spelled := m.respelled(row)
	m.normalise(spelled)
	if m.hasKey(row) && !m.hasKey(spelled) {
		return fault.WithClass(fault.ClassConfig, fmt.Errorf("Config.Normalise removes the key %.80q of row %d", m.target(row), m.idOf(row)))
	}
	if err := m.checkSpelling(spelled); err != nil {
		return err
	}
	id, identity := m.idOf(row), s.newIdentity(row, spelled)
	if other, taken := b.takenBy[identity]; taken && other != id && identity != status.Identity {
		text := fmt.Sprintf("%s%d since NormaliseVersion %d spells both keys as %.80q; move what refers to this row, then delete it, which keeps the object",
			sameObjectText, other, m.version>>normaliseShift, m.target(spelled))
		if s.attempt != nil {
			text = s.attempt.RedactText(text)
		}
		b.collided = append(b.collided, collision{
			row: id, other: other, inScope: m.instance(spelled) == m.instance(s.scope), target: m.target(row), text: text, known: status.SyncError == text,
		})
		return nil
	}
	b.takenBy[identity] = id
	if status.LastSyncedAt.IsZero() && identity == status.Identity && s.equalRows(row, spelled) {
		return nil // its hash has no version yet
	}
	if status.State == nawasync.StateConflict && strings.HasPrefix(status.SyncError, sameObjectText) {
		b.changed = append(b.changed, id)
	}
	values := []any{id, identity[:], m.normaliseFloor()}
	for _, f := range m.stored() {
		if f.role == roleKey && !m.hasKey(spelled) {
			values = append(values, nil) // the remote assigns the key
			continue
		}
		values = append(values, f.param(spelled))
	}
	b.params = append(b.params, values)
	return nil
}

// equalRows reports whether two rows have the same values.
func (s *reconcile) equalRows(a, b reflect.Value) bool {
	for _, f := range s.repo.model.stored() {
		if !f.equal(a, b) {
			return false
		}
	}
	return true
}

// writeRespelled writes what respellRow has collected.
func (s *reconcile) writeRespelled(tx *gorm.DB, b *respelling) error {
	columns := append([]string{"identity", "hash_version"}, columnNames(s.repo.model.stored())...)
	if len(b.params) > 0 {
		if err := s.repo.table.Update(tx, columns, b.params); err != nil {
			return fmt.Errorf("write %s: %w", s.repo.model.table, err)
		}
	}
	if len(b.changed) > 0 {
		err := tx.Exec("UPDATE "+s.repo.quoted+" SET sync_status = 'synced', sync_error = NULL WHERE id IN ? AND sync_status = 'conflict'", b.changed).Error
		if err != nil {
			return fmt.Errorf("write %s: %w", s.repo.model.table, err)
		}
	}
	for _, c := range b.collided {
		if c.known {
			continue
		}
		if err := tx.Exec("UPDATE "+s.repo.quoted+" SET sync_status = 'conflict', sync_error = ?"+idleRow, c.text, c.row).Error; err != nil {
			return fmt.Errorf("write %s: %w", s.repo.model.table, err)
		}
	}
	return nil
}

// addCollision counts a row whose key is that of another row, and names it in the result and in the job's
// log. The row is not missing: its object is listed.
func (s *reconcile) addCollision(c collision) {
	text := shorten(fmt.Sprintf("row %d, %q: %s", c.row, c.target, c.text))
	s.collided.Add(c.row)
	s.result.Collided++
	if len(s.result.Collisions) < maxRefusals {
		s.result.Collisions = append(s.result.Collisions, text)
	}
	s.attempt.Logf("%s", text)
}
