// Package dns mirrors the accounts, zones and DNS records that tokens of Cloudflare may see, and changes the records
// through jobs. The scopes of the zones are the accounts, and those of the records are the zones: both come and go.
package dns

import (
	"time"

	"github.com/nawasara/nawasync"
)

// Account is a row of the snapshot of accounts. A token may see one account or several. Nothing changes an account
// through this module.
type Account struct {
	ID        uint64
	Token     string     `sync:"scope,limit"` // the token's name, never the token: what limits belong to
	AccountID string     `sync:"key"`         // Cloudflare's identifier
	Name      string     `gorm:"size:255"    sync:"observed"`
	Kind      string     `gorm:"size:64"     sync:"observed"` // standard or enterprise
	CreatedOn *time.Time `sync:"observed"`
	UpdatedAt time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (Account) TableName() string { return "cloudflare_accounts" }

// Zone is a row of the snapshot of zones. Nothing changes a zone through this module.
type Zone struct {
	ID          uint64
	Token       string   `sync:"scope,limit"`
	Account     string   `sync:"scope"` // the identifier of the account
	ZoneID      string   `sync:"key"`   // Cloudflare's identifier
	Name        string   `gorm:"size:255"        sync:"observed"`
	Status      string   `gorm:"size:64"         sync:"observed"` // active, pending, initializing or moved
	Paused      bool     `sync:"observed"`
	Plan        string   `gorm:"size:255"        sync:"observed"`
	NameServers []string `gorm:"serializer:json" sync:"observed"`
	UpdatedAt   time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (Zone) TableName() string { return "cloudflare_zones" }

// Record is a row of the snapshot of DNS records.
//
// Several records may have one name, so that name, type and content together find a record before it has an
// identifier. Type, content and proxied make sense together only: a change of one conflicts with a change of another.
type Record struct {
	ID      uint64
	Token   string `sync:"scope,limit"`
	Account string `sync:"scope"`                  // the identifier of the account
	Zone    string `sync:"scope"`                  // the identifier of the zone: the API does not say to which zone a record belongs
	RID     string `gorm:"column:rid"  sync:"key"` // Cloudflare's identifier
	Name    string `sync:"natural"`
	Type    string `gorm:"size:16"     sync:"natural,group=data"`
	Content string `gorm:"type:TEXT"   sync:"natural,group=data"` // of a TXT record it may be longer than 255 characters
	Proxied bool   `sync:"group=data"`
	TTL     int    // seconds; 1 is automatic, and what a proxied record has
	// Priority is that of an MX record. 0 is a priority, so that it needs a pointer.
	Priority   *int
	Comment    string
	Tags       []string   `gorm:"serializer:json" sync:"set"`
	Proxiable  bool       `sync:"observed"`
	ModifiedOn *time.Time `sync:"observed"`
	UpdatedAt  time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (Record) TableName() string { return "cloudflare_records" }
