package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// The errors of AddView and ChangeView.
var (
	ErrViewExists     = errors.New("the person has a view with this name")
	ErrTooManyViews   = errors.New("the person has as many views as allowed")
	ErrTooManyShared  = errors.New("as many views are shared as allowed")
	errViewIncomplete = errors.New("the view has no owner or name, or a text that is too long")
)

// lockViews names the row that every change of saved views locks, so that their numbers stay within the limits.
const lockViews = "views"

// AddView stores a new view and returns its ID.
func (s *Store) AddView(ctx context.Context, v tracker.SavedView) (id int64, err error) {
	err = s.changeViews(ctx, v, func(conn *sqlkit.Conn) error {
		var own int
		if err := conn.Row("SELECT COUNT(*) FROM nawasync_saved_views WHERE owner = ?", v.Owner).Scan(&own); err != nil {
			return err
		}
		if own >= tracker.MaxViews {
			return ErrTooManyViews
		}
		if err := conn.Exec("INSERT INTO nawasync_saved_views (owner, name, query, options, shared, created_at) VALUES (?, ?, ?, ?, ?, ?)",
			v.Owner, v.Name, v.Query, v.Options, v.Shared, s.Now().UnixMicro()).Error; err != nil {
			return err
		}
		return conn.Row("SELECT id FROM nawasync_saved_views WHERE owner = ? AND name = ?", v.Owner, v.Name).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("save a view: %w", err)
	}
	return id, nil
}

// ChangeView stores the name of a view, and whether the view is shared. It returns tracker.ErrNotFound if the view no
// longer exists.
func (s *Store) ChangeView(ctx context.Context, v tracker.SavedView) error {
	err := s.changeViews(ctx, v, func(conn *sqlkit.Conn) error {
		var found int
		if err := conn.Row("SELECT COUNT(*) FROM nawasync_saved_views WHERE id = ?", v.ID).Scan(&found); err != nil {
			return err
		}
		if found == 0 {
			return tracker.ErrNotFound
		}
		return conn.Exec("UPDATE nawasync_saved_views SET name = ?, shared = ? WHERE id = ?", v.Name, v.Shared, v.ID).Error
	})
	if err != nil {
		return fmt.Errorf("change view %d: %w", v.ID, err)
	}
	return nil
}

// changeViews runs a change while no other one runs, if v may be stored.
func (s *Store) changeViews(ctx context.Context, v tracker.SavedView, change func(conn *sqlkit.Conn) error) error {
	if v.Owner == "" || v.Name == "" || len(v.Owner) > 255 || len([]rune(v.Name)) > tracker.MaxViewName || len(v.Query) > tracker.MaxViewQuery ||
		len(v.Options) > tracker.MaxViewOptions {
		return errViewIncomplete
	}
	if err := s.ensureLock(ctx, lockViews); err != nil {
		return err
	}
	return s.transaction(ctx, func(conn *sqlkit.Conn) error {
		if err := conn.Exec("UPDATE nawasync_duties SET held_until = held_until + 1 WHERE name = ?", lockViews).Error; err != nil {
			return err
		}
		var same, shared int
		if err := conn.Row("SELECT COUNT(*) FROM nawasync_saved_views WHERE owner = ? AND name = ? AND id <> ?", v.Owner, v.Name, v.ID).Scan(&same); err != nil {
			return err
		}
		if same > 0 {
			return ErrViewExists
		}
		if err := conn.Row("SELECT COUNT(*) FROM nawasync_saved_views WHERE shared = TRUE AND id <> ?", v.ID).Scan(&shared); err != nil {
			return err
		}
		if v.Shared && shared >= tracker.MaxSharedViews {
			return ErrTooManyShared
		}
		return change(conn)
	})
}

// DeleteView deletes a view, and reports whether it existed.
func (s *Store) DeleteView(ctx context.Context, id int64) (bool, error) {
	var n int64
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("DELETE FROM nawasync_saved_views WHERE id = ?", id)
		n = done.RowsAffected
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("delete view %d: %w", id, err)
	}
	return n > 0, nil
}

// forgetViews deletes the views whose name or query names a target's ID.
func forgetViews(conn *sqlkit.Conn, id string) error {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(id) // as a query has the ID
	like := func(text string) string { return "%" + sqlkit.EscapeLike(text) + "%" }
	var named []int64
	err := sqlkit.Each(conn, func(rows *sql.Rows) error {
		var view int64
		var name, query string
		err := rows.Scan(&view, &name, &query)
		if containsName(name, id) || containsName(query, id) || containsName(query, quoted) {
			named = append(named, view)
		}
		return err
	}, "SELECT id, name, query FROM nawasync_saved_views WHERE query LIKE ? ESCAPE '!' OR query LIKE ? ESCAPE '!' OR name LIKE ? ESCAPE '!'",
		like(id), like(quoted), like(id))
	if err != nil || len(named) == 0 {
		return err
	}
	return conn.Exec("DELETE FROM nawasync_saved_views WHERE id IN ?", named).Error
}

// containsName reports whether a text contains a name that is no part of a longer one.
func containsName(text, name string) bool {
	inName := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-@", r) }
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 || name == "" {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(text[:at+i])
		after, size := utf8.DecodeRuneInString(text[at+i+len(name):])
		if (at+i == 0 || !inName(before)) && (size == 0 || !inName(after)) {
			return true
		}
		_, size = utf8.DecodeRuneInString(name)
		at += i + size
	}
}
