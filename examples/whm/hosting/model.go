// Package hosting mirrors the accounts and mailboxes of WHM servers and changes them through jobs.
// It shows how a service uses nawasync: each snapshot table has an adapter for the remote API.
package hosting

import (
	"context"
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
	Domain        string
	Contact       string // the owner's email address
	Plan          string
	Suspended     bool
	SuspendReason string
	DiskLimit     *int64          // bytes; NULL is unlimited
	DiskUsed      int64           `sync:"observed"` // bytes
	IP            string          `sync:"observed"`
	Owner         string          `sync:"observed"` // the reseller's username
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
	return snapshot.CreateTables(ctx, db, map[string]snapshot.Table{
		"whm_accounts": {
			Columns: "instance KEY NOT NULL, username KEY NOT NULL, domain VARCHAR(255) NOT NULL, contact VARCHAR(255) NOT NULL, plan VARCHAR(255) NOT NULL," +
				" suspended BOOLEAN NOT NULL, suspend_reason VARCHAR(255) NOT NULL, disk_limit BIGINT, disk_used BIGINT NOT NULL, ip VARCHAR(64) NOT NULL," +
				" owner VARCHAR(64) NOT NULL, updated_at TIMESTAMP",
			Indexes: []string{"instance"},
		},
		"whm_email_accounts": {
			Columns: "instance KEY NOT NULL, email KEY NOT NULL, account KEY NOT NULL, quota BIGINT, suspended_login BOOLEAN NOT NULL," +
				" suspended_incoming BOOLEAN NOT NULL, disk_used BIGINT, updated_at TIMESTAMP",
			Indexes: []string{"instance"},
		},
	})
}
