package mirror

import (
	"context"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// engine lists the parts of an Engine that a repository uses: registering and dispatching
// jobs, writing jobs and rows in one transaction, and adding audit entries.
type engine interface { //nolint:interfacebloat // one place lists everything that mirror needs
	DB() *gorm.DB
	HasOwnClock() bool
	Store() *jobstore.Store
	Reader() *tracker.Reader
	InTx(ctx context.Context, fn func(tx *gorm.DB) error) error
	Dispatch(ctx context.Context, args nawasync.Args, o nawasync.Options) (*tracker.Job, error)
	DispatchTx(ctx context.Context, tx *gorm.DB, args nawasync.Args, o nawasync.Options) (*tracker.Job, error)
	DispatchMany(ctx context.Context, args []nawasync.Args, o nawasync.Options) ([]*tracker.Job, error)
	DispatchManyTx(ctx context.Context, tx *gorm.DB, args []nawasync.Args, o nawasync.Options) ([]*tracker.Job, error)
	DispatchOnRow(ctx context.Context, tx *gorm.DB, args nawasync.Args, o nawasync.Options, row host.SnapshotRow) (*tracker.Job, error)
	FollowUp(ctx context.Context, old *jobstore.Job, args nawasync.Args, o nawasync.Options, state nawasync.SyncState) (*tracker.Job, error)
	Arguments(job *jobstore.Job) ([]byte, error)
	DigestKey(ctx context.Context) ([]byte, error)
	SealCursor(kind nawasync.Kind, instance, cursor string) ([]byte, error)
	OpenCursor(kind nawasync.Kind, instance string, stored []byte) string
	SeenKey(ctx context.Context, purpose string) ([]byte, error)
	SeenOf(s *nawasync.SyncStatus) *host.Seen
	SetSeen(s *nawasync.SyncStatus, seen *host.Seen)
	Redact(text string) string
	Register(handlers []host.Handler) error
	Attach(r nawasync.AttachedRepository) error
	Attached(service, typ string) (nawasync.AttachedRepository, error)
	CheckKind(kind nawasync.Kind) error
	CheckTarget(target nawasync.Target) error
	Operate(ctx context.Context, action string, o nawasync.OperatorOptions, do func(entry *tracker.AuditEntry) error) error
	OperateOn(ctx context.Context, action string, id int64, o nawasync.OperatorOptions, do func(job *jobstore.Job, entry *tracker.AuditEntry) error) error
}

func engineOf(e *nawasync.Engine) engine { return e.Internals(host.NewKey()) }
