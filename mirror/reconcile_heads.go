package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// rowHead is what a sync reads of a row to find out whether it still matches its object: much less
// than the row.
type rowHead struct {
	id       int64
	identity tracker.Identity
	// hash is the content hash if the row is as the last sync left it, newerHash if a newer release has
	// spelled it, and else "".
	hash []byte
}

// newerHash stands in for the hash of a row that a newer release has spelled.
const newerHash = "newer"

// headReader reads heads and compares them with listed objects. It belongs to one batch.
type headReader struct {
	s        *reconcile
	head     rowHead
	observed []*headCell // columns that are compared besides the hash
}

// newHeadReader returns a reader for a batch whose pages fetched all columns.
func (s *reconcile) newHeadReader(compared []*field) *headReader {
	h, row := &headReader{s: s}, s.repo.model.newRow()
	for _, f := range compared {
		if f.role == roleObserved {
			h.observed = append(h.observed, newHeadCell(f, row))
		}
	}
	return h
}

// selected returns the columns of a head, from table t.
func (h *headReader) selected(tx *gorm.DB) string {
	m := h.s.repo.model
	quote := func(column string) string { return "t." + tx.Statement.Quote(column) }
	var b strings.Builder
	fmt.Fprintf(&b, "t.id, t.identity, CASE WHEN t.hash_version >= %d THEN '%s' WHEN t.hash_version = %d AND t.missing_since IS NULL AND t.sync_status IN ('synced', 'conflict') THEN t.content_hash END",
		m.normaliseFloor()+1<<normaliseShift, newerHash, m.version)
	for _, c := range h.observed {
		b.WriteString(", " + quote(c.column))
	}
	return b.String()
}

// inRange calls fn with the heads of up to limit rows after (or, descending, before) an id, in that order. The head is valid until fn
// returns.
func (h *headReader) inRange(ctx context.Context, from int64, descending bool, limit int, fn func() error) (rows int, err error) {
	tx := h.s.primary(ctx)
	query, args := "t.id > ? ORDER BY t.id", []any{from, limit}
	if descending {
		query = "t.id < ? ORDER BY t.id DESC"
	}
	return h.read(tx, "SELECT "+h.selected(tx)+" FROM "+h.s.repo.quoted+" t WHERE "+query+" LIMIT ?", args, fn)
}

// ofKeys calls fn with the heads of the rows of items.
func (h *headReader) ofKeys(ctx context.Context, items []listedItem, fn func() error) error {
	tx := h.s.primary(ctx)
	keys := make([][]any, len(items))
	for i := range items {
		keys[i] = []any{items[i].key[:]}
	}
	query, args, err := h.s.repo.table.Find(tx, bulk.KeyQuery{Expressions: h.selected(tx), KeyColumns: []string{"identity"}, Keys: keys})
	if err == nil {
		_, err = h.read(tx, query, args, fn)
	}
	return err
}

// primary returns a session that reads from the primary, not from a replica.
func (s *reconcile) primary(ctx context.Context) *gorm.DB {
	return sqlkit.Primary(ctx, s.repo.engine.DB())
}

func (h *headReader) read(tx *gorm.DB, query string, args []any, fn func() error) (n int, err error) {
	err = h.scan(tx, query, args, func() error {
		n++
		return fn()
	})
	if err != nil {
		return n, fmt.Errorf("read %s: %w", h.s.repo.model.table, err)
	}
	return n, nil
}

func (h *headReader) scan(tx *gorm.DB, query string, args []any, fn func() error) error {
	rows, err := tx.Raw(query, args...).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	targets := []any{(*scannedID)(&h.head.id), (*scannedIdentity)(&h.head.identity), (*scannedText)(&h.head.hash)}
	plain := len(targets)
	targets = append(targets, make([]any, len(h.observed))...)
	for rows.Next() {
		for i, cell := range h.observed {
			targets[plain+i] = cell.target()
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// headMatch says how a head compares with an object.
type headMatch int

const (
	headDiffers headMatch = iota
	headSame
	headUnknown // the row must be read to find out
)

// compare compares the current head with its object.
func (h *headReader) compare(ctx context.Context, it *listedItem) (headMatch, error) {
	if h.head.id > h.s.maxID || string(h.head.hash) == newerHash {
		return headUnknown, nil
	}
	if string(h.head.hash) != it.hash {
		return headDiffers, nil
	}
	for _, cell := range h.observed {
		same, err := cell.equal(ctx, it.value)
		if err != nil || !same {
			return headDiffers, err
		}
	}
	return headSame, nil
}

// scannedID is the id of a row.
type scannedID int64

// Scan implements sql.Scanner.
func (n *scannedID) Scan(value any) error {
	if number, ok := value.(int64); ok {
		*n = scannedID(number)
		return nil
	}
	var number sql.Null[int64]
	err := number.Scan(value)
	*n = scannedID(number.V)
	return err
}

// scannedIdentity is the identity of a row.
type scannedIdentity tracker.Identity

// Scan implements sql.Scanner.
func (i *scannedIdentity) Scan(value any) error {
	if data, ok := value.([]byte); ok && len(data) == len(i) {
		copy(i[:], data)
		return nil
	}
	return (*tracker.Identity)(i).Scan(value)
}

// scannedText is a short text, in a buffer that is used again.
type scannedText []byte

// Scan implements sql.Scanner.
func (t *scannedText) Scan(value any) error {
	*t = (*t)[:0]
	switch value := value.(type) {
	case nil:
	case string:
		*t = append(*t, value...)
	case []byte:
		*t = append(*t, value...)
	default:
		return fmt.Errorf("the content hash has the type %T", value)
	}
	return nil
}
