// Package iam mirrors the users and clients of Keycloak realms and changes them through jobs. Each realm is a scope, and has
// a service account of its own, which limits and credentials belong to.
package iam

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/snapshot"
)

// User is a row of the snapshot of users. The server stores the user name and the email address in lower case.
type User struct {
	ID            uint64
	Realm         string `sync:"scope,limit"`
	UserID        string `sync:"key"` // Keycloak's identifier
	Username      string `sync:"natural"       wire:"username"`
	Email         string `gorm:"size:255"      wire:"email"`
	FirstName     string `gorm:"size:255"      wire:"firstName"`
	LastName      string `gorm:"size:255"      wire:"lastName"`
	Enabled       bool   `wire:"enabled"`
	EmailVerified bool   `wire:"emailVerified"`
	// RequiredActions are what the user must do at the next login, such as UPDATE_PASSWORD.
	RequiredActions []string   `gorm:"serializer:json" sync:"set" wire:"requiredActions"`
	RegisteredAt    *time.Time `sync:"observed"`
	UpdatedAt       time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (User) TableName() string { return "keycloak_users" }

// Client is a row of the snapshot of clients, which are applications that sign users in. A client's secret is not
// mirrored.
type Client struct {
	ID             uint64
	Realm          string `sync:"scope,limit"`
	UUID           string `gorm:"column:uuid"              sync:"key"`      // Keycloak's identifier
	ClientID       string `sync:"natural"                  wire:"clientId"` // its name
	Name           string `gorm:"size:255"                 wire:"name"`
	Description    string `gorm:"size:255"                 wire:"description"`
	RootURL        string `gorm:"column:root_url;size:255" wire:"rootUrl"`
	Enabled        bool   `wire:"enabled"`
	Public         bool   `wire:"publicClient"`
	ServiceAccount bool   `wire:"serviceAccountsEnabled"`
	// RedirectURIs and WebOrigins are returned in another order than they were sent in.
	RedirectURIs []string `gorm:"column:redirect_uris;serializer:json" sync:"set"      wire:"redirectUris"`
	WebOrigins   []string `gorm:"serializer:json"                      sync:"set"      wire:"webOrigins"`
	Protocol     string   `gorm:"size:64"                              sync:"observed"`
	UpdatedAt    time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (Client) TableName() string { return "keycloak_clients" }

// CreateTables creates the snapshot tables if they do not exist. Several processes may call it at the same time.
func CreateTables(ctx context.Context, db *gorm.DB) error {
	return errors.Join(snapshot.CreateTable[User](ctx, db, "realm", "username", "id"), snapshot.CreateTable[Client](ctx, db, "realm", "client_id", "id"))
}
