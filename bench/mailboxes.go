package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// boxRow is a snapshot of a mailbox.
type boxRow struct {
	ID        uint64
	Instance  string `sync:"scope"`
	Email     string `sync:"key"`
	Account   string
	Quota     *int64
	Login     bool
	Incoming  bool
	DiskUsed  int64 `sync:"observed"`
	UpdatedAt time.Time
	nawasync.SyncStatus
}

// TableName returns boxes.
func (boxRow) TableName() string { return "boxes" }

func newBox(i int) boxRow {
	quota := int64(i%7) << 28
	return boxRow{
		Instance: "main", Email: fmt.Sprintf("person%07d@site%03d.example", i, i%400), Account: fmt.Sprintf("site%03d", i%400), Quota: &quota,
		Login: i%17 == 0, DiskUsed: int64(i) << 10,
	}
}

// generatedRemote is a remote whose listing is generated while it is read.
type generatedRemote struct{ n, changed int }

const listPage = 1000

func (r *generatedRemote) List(_ context.Context, _ boxRow, _ string) iter.Seq2[mirror.Page[boxRow], error] {
	return func(yield func(mirror.Page[boxRow], error) bool) {
		for from := 0; from < r.n; from += listPage {
			items := make([]boxRow, 0, listPage)
			for i := from; i < min(from+listPage, r.n); i++ {
				b := newBox(i)
				if r.changed > 0 && i%(r.n/r.changed) == 0 {
					b.Login = !b.Login
				}
				items = append(items, b)
			}
			if !yield(mirror.Page[boxRow]{Items: items, Proof: mirror.Proof{Level: mirror.ProofCounted, Total: int64(r.n)}}, nil) {
				return
			}
		}
	}
}

var errListOnly = errors.New("the remote of this benchmark supports List only")

func (*generatedRemote) Get(context.Context, boxRow) (o mirror.Object[boxRow], err error) {
	return o, errListOnly
}

func (*generatedRemote) Create(context.Context, boxRow) (o mirror.Object[boxRow], err error) {
	return o, errListOnly
}

func (*generatedRemote) Update(context.Context, mirror.Object[boxRow], boxRow, mirror.FieldDiff) (o mirror.Object[boxRow], err error) {
	return o, errListOnly
}
func (*generatedRemote) Delete(context.Context, boxRow) error { return errListOnly }

// mirrorBench is a started engine with one repository, on a new database.
type mirrorBench struct {
	*mirrorDatabase

	engine *nawasync.Engine
	repo   nawasync.SyncedRepository[boxRow]
	remote *generatedRemote
	close  func()
}

// openMirror opens a mirrorBench whose remote has n objects.
func openMirror(ctx context.Context, o options, n int) (*mirrorBench, error) {
	database, err := newMirrorDatabase(ctx, o)
	if err != nil {
		return nil, err
	}
	m := &mirrorBench{mirrorDatabase: database, remote: &generatedRemote{n: n}}
	config := nawasync.Config{DB: m.db}
	closeRedis := func() {}
	if o.redis != "" {
		if err := flush(ctx, o.redis); err != nil {
			return nil, err
		}
		client := redisClient(o.redis)
		config.Redis, closeRedis = client, func() { _ = client.Close() }
	}
	if m.engine, err = nawasync.New(config); err != nil {
		return nil, err
	}
	if m.repo, err = mirror.New(m.engine, mirror.Config[boxRow]{Service: "mail", Type: "box", Remote: m.remote}); err != nil {
		return nil, err
	}
	m.close = func() {
		_ = m.engine.Stop(ctx)
		closeRedis()
		m.drop()
	}
	return m, m.engine.Start(ctx)
}

// sync runs a sync, and returns its result and the duration of its attempt.
func (m *mirrorBench) sync(ctx context.Context) (r nawasync.SyncResult, took time.Duration, err error) {
	job, err := m.repo.SyncNow(ctx, boxRow{Instance: "main"}, "", nawasync.Options{})
	for err == nil && !job.Status.Terminal() {
		time.Sleep(25 * time.Millisecond) // the duration is that of the job
		job, err = m.engine.Reader().Get(ctx, job.ID)
	}
	if err == nil && job.Status != tracker.StatusSuccess {
		err = errors.New(job.Error)
	}
	if err == nil {
		err = json.Unmarshal(job.Result, &r)
	}
	if err != nil {
		return r, 0, fmt.Errorf("sync: %w", err)
	}
	return r, job.Duration, nil
}

// rowByRow writes each row with a SELECT and then an INSERT or an UPDATE, through gorm.
func (m *mirrorBench) rowByRow(ctx context.Context, n int) error {
	db := m.db.WithContext(ctx).Session(&gorm.Session{SkipDefaultTransaction: true})
	for i := range n {
		want := newBox(i)
		var found []boxRow
		if err := db.Where("instance = ? AND email = ?", want.Instance, want.Email).Limit(1).Find(&found).Error; err != nil {
			return err
		}
		want.MarkSynced(time.Now())
		want.Identity = sha256.Sum256([]byte(want.Email))
		if len(found) == 0 {
			if err := db.Create(&want).Error; err != nil {
				return err
			}
			continue
		}
		want.ID = found[0].ID
		if err := db.Save(&want).Error; err != nil {
			return err
		}
	}
	return nil
}

// copyAll writes the rows with COPY, PostgreSQL's fastest way, into the same table with the same
// indexes.
func (m *mirrorBench) copyAll(ctx context.Context, n int) error {
	pool, err := m.db.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	now := time.Now()
	columns := []string{
		"instance", "email", "account", "quota", "login", "incoming", "disk_used", "updated_at", "sync_status", "last_synced_at", "content_hash",
		"hash_version", "fetched_columns", "missing_runs", "identity",
	}
	rows := pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		b := newBox(i)
		identity := sha256.Sum256([]byte(b.Email))
		return []any{
			b.Instance, b.Email, b.Account, b.Quota, b.Login, b.Incoming, b.DiskUsed, now, "synced", now.UnixMicro(), "0123456789abcdef0123456789abcdef",
			int64(1), "account,incoming,login,quota", 0, identity[:],
		}, nil
	})
	return conn.Raw(func(driverConn any) error {
		_, err := driverConn.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{"boxes"}, columns, rows)
		return err
	})
}
