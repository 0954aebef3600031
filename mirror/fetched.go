package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// ErrUnseen is returned by Update for a field that was never fetched, for example because the scope
// has only been synced with a detail that leaves the field out. Nobody can have seen its value, so a
// conflict could not be detected. Refresh the row first.
var ErrUnseen = errors.New("the field was never fetched from the remote, so a change of it could overwrite a value that nobody has seen; refresh the row first")

// fetchedText returns the text of SyncStatus.FetchedColumns for a row whose fields were fetched.
// Fields that are not content do not count.
func (m *model) fetchedText(fields []*field) string {
	if len(fields) >= len(m.content) && containsAll(fields, m.content) {
		return m.allFetched
	}
	var columns []string
	for _, f := range m.content {
		if slices.Contains(fields, f) {
			columns = append(columns, f.column)
		}
	}
	return strings.Join(columns, ",")
}

func containsAll(list, wanted []*field) bool {
	for _, f := range wanted {
		if !slices.Contains(list, f) {
			return false
		}
	}
	return true
}

// fetched reports whether a content field of a row was ever fetched.
func (m *model) fetched(status *nawasync.SyncStatus, f *field) bool {
	switch status.FetchedColumns {
	case m.allFetched:
		return true
	case "": // a row that was not written by a repository
		return status.ContentHash != "" && status.HashVersion == m.version
	}
	return strings.Contains(","+status.FetchedColumns+",", ","+f.column+",")
}

// withFetched returns the content fields of a row that were ever fetched, and those of a new page.
func (m *model) withFetched(status *nawasync.SyncStatus, page []*field) []*field {
	return slices.DeleteFunc(slices.Clone(m.content), func(f *field) bool { return !m.fetched(status, f) && !slices.Contains(page, f) })
}

// checkSeen returns ErrUnseen if a field of a row that is to be changed was never fetched. A row whose
// object is still to be created has the user's own values.
func (r *repo) checkSeen(row reflect.Value, f *field) error {
	if token := r.engine.SeenOf(r.status(row)); token != nil {
		if token.Unseen[f.column] {
			return fmt.Errorf("field %s: %w", f.Name, ErrUnseen)
		}
		return nil
	}
	if status := r.status(row); status.LastSyncedAt.IsZero() || r.model.fetched(status, f) {
		return nil
	}
	return fmt.Errorf("field %s: %w", f.Name, ErrUnseen)
}

// readStatus sets the status of a row that was not read from the table, for example because it was built
// from the fields of a form.
func (r *repo) readStatus(ctx context.Context, seen reflect.Value) error {
	if r.status(seen).Identity != (tracker.Identity{}) || r.model.idOf(seen) <= 0 {
		return nil
	}
	row := r.model.newRow()
	err := r.findRow(ctx, row.Addr(), "id = ?", r.model.idOf(seen))
	if errors.Is(err, nawasync.ErrNotFound) {
		return nil // the dispatch says so
	}
	*r.status(seen) = *r.status(row)
	return err
}
