package tracker

import (
	"cmp"
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// WithOptions returns a Reader of the same database with other options. A nil Options.Now keeps the
// clock of r. The returned Reader counts its own connections, not those of r.
func (r *Reader) WithOptions(o Options) *Reader {
	limited := *r
	limited.guard, limited.scan = nil, o.BeforeScan
	if o.Now != nil {
		limited.now = o.Now
	}
	timeout := max(0, cmp.Or(o.StatementTimeout, sqlkit.StatementTimeout))
	if timeout == 0 && o.Connections <= 0 {
		return &limited
	}
	limited.guard = &sqlkit.Guard{Dialect: r.dialect, Timeout: timeout}
	if o.Connections > 0 {
		limited.guard.Slots = make(chan struct{}, o.Connections)
	}
	return &limited
}

// snapshot runs fn in a transaction whose queries all see the same rows.
func (r *Reader) snapshot(ctx context.Context, fn func(conn *sqlkit.Conn) error) error {
	release, err := r.guard.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	var options []*sql.TxOptions
	if r.dialect.Name != "sqlite" { // every transaction of SQLite sees one snapshot
		options = append(options, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	}
	return sqlkit.Session(ctx, r.db).Transaction(func(tx *gorm.DB) error {
		conn := sqlkit.Connect(ctx, tx)
		if err := r.guard.SetTimeout(conn); err != nil {
			return err
		}
		return fn(conn.Guarded(r.guard))
	}, options...)
}
