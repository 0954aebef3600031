// Package hosting mirrors the accounts and mailboxes of WHM servers and changes them through jobs.
// It shows how a service uses nawasync: each snapshot table has an adapter for the remote API.
package hosting

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/snapshot"
)

// WhmAccount is a row of the snapshot of cPanel accounts.
type WhmAccount struct {
	ID            uint64
	Instance      string `sync:"scope"` // the server's name
	Username      string `sync:"key"`
	Domain        string `gorm:"size:255"`
	Contact       string `gorm:"size:255"` // the owner's email address
	Plan          string `gorm:"size:255"`
	Suspended     bool
	SuspendReason string          `gorm:"size:255"`
	DiskLimit     *int64          // bytes; NULL is unlimited
	DiskUsed      int64           `sync:"observed"` // bytes
	IP            string          `gorm:"size:64"  sync:"observed"`
	Owner         string          `gorm:"size:64"  sync:"observed"` // the reseller's username
	Password      nawasync.Secret `gorm:"-"        sync:"secret"`
	UpdatedAt     time.Time
	nawasync.SyncStatus
}

// WhmEmailAccount is a row of the snapshot of mailboxes.
type WhmEmailAccount struct {
	ID                uint64
	Instance          string `sync:"scope"` // the server's name
	Email             string `sync:"key"`
	Account           string `sync:"natural"` // the cPanel user, which every UAPI call needs
	Quota             *int64 // bytes, 0 is unlimited; NULL until a listing with disk usage
	SuspendedLogin    bool
	SuspendedIncoming bool
	DiskUsed          *int64          `sync:"observed"` // bytes; NULL until a listing with disk usage
	Password          nawasync.Secret `gorm:"-"        sync:"secret"`
	UpdatedAt         time.Time
	nawasync.SyncStatus
}

// CreateTables creates the snapshot tables if they do not exist. Several processes may call it at
// the same time.
func CreateTables(ctx context.Context, db *gorm.DB) error {
	return errors.Join(snapshot.CreateTable[WhmAccount](ctx, db), snapshot.CreateTable[WhmEmailAccount](ctx, db))
}
