// Package dns mirrors the zones and DNS records of Cloudflare accounts and changes the records through jobs. The
// scopes of the records are the zones, which come and go.
package dns

import (
	"time"

	"github.com/nawasara/nawasync"
)

// Zone is a row of the snapshot of zones. Nothing changes a zone through this module.
type Zone struct {
	ID          uint64
	Account     string   `sync:"scope,limit"` // the account's name; its token is what limits belong to
	ZoneID      string   `sync:"key"`         // Cloudflare's identifier
	Name        string   `sync:"observed"`
	Status      string   `sync:"observed"` // active, pending, initializing or moved
	Paused      bool     `sync:"observed"`
	Plan        string   `sync:"observed"`
	Owner       string   `sync:"observed"` // Cloudflare's name of the account
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
	Account string `sync:"scope,limit"`
	Zone    string `sync:"scope"`                         // the identifier of the zone: the API does not say to which zone a record belongs
	RID     string `gorm:"column:rid"         sync:"key"` // Cloudflare's identifier
	Name    string `sync:"natural"`
	Type    string `sync:"natural,group=data"`
	Content string `sync:"natural,group=data"`
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
