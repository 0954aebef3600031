package iam

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/mirror"
)

// Service is the service of all jobs of this module.
const Service = "keycloak"

// The queues of the jobs. Changes have their own queue, so that they do not wait behind syncs.
const (
	Queue     = "keycloak"
	SyncQueue = "keycloak-sync"
)

// Module holds the repositories that the pages read and dispatch jobs with.
type Module struct {
	Users   nawasync.SyncedRepository[User]
	Clients nawasync.SyncedRepository[Client]

	engine *nawasync.Engine
}

// Config says with what a Module works.
type Config struct {
	// API is the client. With nil, the process only reads rows and dispatches jobs.
	API *kcapi.Client
	// Settle is mirror.Config.Settle. While others change a user, Keycloak may answer with what the user was just before
	// a change that it has confirmed. Negative means not at all, which a simulated Keycloak allows.
	Settle time.Duration
}

// New creates the repositories and registers the job that sets passwords.
func New(e *nawasync.Engine, config Config) (*Module, error) {
	userConfig, clientConfig, err := configs(config)
	if err != nil {
		return nil, err
	}
	userRepository, userErr := mirror.New(e, userConfig)
	clientRepository, clientErr := mirror.New(e, clientConfig)
	err = errors.Join(userErr, clientErr)
	if config.API != nil && err == nil {
		err = nawasync.Register(e, &resetPassword{api: config.API, users: userRepository})
	}
	return &Module{Users: userRepository, Clients: clientRepository, engine: e}, err
}

// configs returns the configurations of the repositories.
func configs(config Config) (userConfig mirror.Config[User], clientConfig mirror.Config[Client], err error) {
	const calls = 4 // of a change: read, read again and write the whole document, read back
	userConfig = mirror.Config[User]{
		Service: Service, Type: "user", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Settle: config.Settle, Calls: calls,
		Search: []string{"username", "email", "first_name", "last_name"},
		Actions: mirror.Actions{
			Create: "user_create", Update: []string{"user_update", "user_toggle"}, Delete: "user_delete", Sync: "sync_users", Changes: "user_events",
		},
		Normalise: normaliseUser, NormaliseVersion: 1, Supports: (*users)(nil),
	}
	clientConfig = mirror.Config[Client]{
		Service: Service, Type: "client", Queue: Queue, SyncQueue: SyncQueue, Timeout: time.Minute, Settle: config.Settle, Calls: calls,
		Search: []string{"client_id", "name"},
		Actions: mirror.Actions{
			Create: "client_create", Update: []string{"client_update"}, Delete: "client_delete", Sync: "sync_clients", Changes: "client_events",
		},
		Supports: (*clients)(nil),
	}
	if config.API != nil {
		userAdapter, userErr := newUsers(config.API)
		clientAdapter, clientErr := newClients(config.API)
		userConfig.Remote, clientConfig.Remote, err = userAdapter, clientAdapter, errors.Join(userErr, clientErr)
	}
	return userConfig, clientConfig, err
}

// normaliseUser spells a user as the server stores it.
func normaliseUser(u *User) {
	u.Username, u.Email = strings.ToLower(strings.TrimSpace(u.Username)), strings.ToLower(strings.TrimSpace(u.Email))
	u.FirstName, u.LastName = strings.TrimSpace(u.FirstName), strings.TrimSpace(u.LastName)
}

// SyncAll dispatches a sync of the users and one of the clients of each realm. A sync that is already open is not
// dispatched again.
func (m *Module) SyncAll(ctx context.Context, names []string, o nawasync.Options) error {
	var failed []error
	for _, name := range names {
		_, userErr := m.Users.SyncNow(ctx, User{Realm: name}, "", o)
		_, clientErr := m.Clients.SyncNow(ctx, Client{Realm: name}, "", o)
		failed = append(failed, userErr, clientErr)
	}
	return errors.Join(failed...)
}

// Schedule adds the schedules of each realm: its admin events every minute, and its users and clients every hour.
func (m *Module) Schedule(e *nawasync.Engine, names []string) error {
	for _, name := range names {
		userSync, userErr := m.Users.SyncArgs(User{Realm: name}, "")
		clientSync, clientErr := m.Clients.SyncArgs(Client{Realm: name}, "")
		userEvents, userEventsErr := m.Users.ChangesArgs(User{Realm: name})
		clientEvents, clientEventsErr := m.Clients.ChangesArgs(Client{Realm: name})
		if err := errors.Join(userErr, clientErr, userEventsErr, clientEventsErr); err != nil {
			return err
		}
		for _, s := range []nawasync.Schedule{
			{Name: "keycloak-users-" + name, Spec: "0 * * * *", Args: userSync, Jitter: time.Minute},
			{Name: "keycloak-clients-" + name, Spec: "30 * * * *", Args: clientSync, Jitter: time.Minute},
			{Name: "keycloak-user-events-" + name, Spec: "@every 1m", Args: userEvents},
			{Name: "keycloak-client-events-" + name, Spec: "@every 1m", Args: clientEvents},
		} {
			if err := e.Schedule(s); err != nil {
				return err
			}
		}
	}
	return nil
}
