package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// The limits of saved views.
const (
	MaxViews       = 50 // of a person
	MaxSharedViews = 50
	MaxViewName    = 60   // characters
	MaxViewQuery   = 2000 // bytes
	MaxViewOptions = 200  // bytes
)

// SavedView is a query of the job list that a person has saved under a name. It gives no right to see the jobs.
type SavedView struct {
	ID      int64
	Owner   string // the person who saved the view
	Name    string
	Query   string
	Options string // further parameters of the list, URL-encoded
	Shared  bool   // others may open the view
	Created time.Time
}

const viewColumns = "SELECT id, owner, name, query, options, shared, created_at FROM nawasync_saved_views WHERE "

// SavedViews returns the views of a person, and the shared views of others, each in the order of their names. It
// does not depend on what a limited Reader shows: the caller decides who may read the text of a shared query.
func (r *Reader) SavedViews(ctx context.Context, owner string) (own, shared []SavedView, err error) {
	err = r.snapshot(ctx, func(conn *sqlkit.Conn) error {
		if own, err = readViews(conn, viewColumns+"owner = ? ORDER BY name LIMIT ?", owner, MaxViews); err != nil {
			return err
		}
		shared, err = readViews(conn, viewColumns+"shared = TRUE ORDER BY name, id LIMIT ?", MaxSharedViews)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read saved views: %w", err)
	}
	// MySQL ignores spaces at the end of a text.
	return keepViews(own, func(v SavedView) bool { return v.Owner == owner }), keepViews(shared, func(v SavedView) bool { return v.Owner != owner }), nil
}

// SavedView returns a saved view, or ErrNotFound.
func (r *Reader) SavedView(ctx context.Context, id int64) (SavedView, error) {
	list, err := readViews(r.session(ctx), viewColumns+"id = ?", id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return SavedView{}, fmt.Errorf("read saved view %d: %w", id, err)
	}
	return list[0], nil
}

func readViews(conn *sqlkit.Conn, query string, args ...any) (list []SavedView, err error) {
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var v SavedView
		var created int64
		err := rows.Scan(&v.ID, &v.Owner, &v.Name, &v.Query, &v.Options, &v.Shared, &created)
		v.Created = sqlkit.FromMicros(created)
		list = append(list, v)
		return err
	}, query, args...)
	return list, err
}

func keepViews(list []SavedView, keep func(SavedView) bool) (kept []SavedView) {
	for _, v := range list {
		if keep(v) {
			kept = append(kept, v)
		}
	}
	return kept
}
