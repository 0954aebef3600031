package iam_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// suitePage is how many objects the clients of the suite list at once.
const suitePage = 7

// open returns a client that sends through transport and has an access token already: what the suite makes fail are the
// calls, and not the request for a token.
func (s *server) open(t testing.TB, transport *nawasynctest.RemoteTransport) *kcapi.Client {
	t.Helper()
	client := s.api(t, remote.Config{Base: transport}, suitePage)
	_, err := client.CountUsers(t.Context(), s.realms[0].Name)
	enginetest.NoError(t, err)
	return client
}

// fieldsOf returns all fields of an object by their names in the API.
func fieldsOf[T any](object T) map[string]any {
	wire, err := mirror.NewWire[T]()
	if err != nil {
		panic(err) // the struct is wrong
	}
	fields, err := wire.All(object)
	if err != nil {
		panic(err)
	}
	return fields
}

func TestUsersPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		other := s.api(t, remote.Config{}, 0) // another client, behind the adapter's back
		ctx, prefix := t.Context(), strings.ToLower(rand.Text()[:6])
		nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[iam.User]{
			Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[iam.User], nawasynctest.RemoteServer[iam.User]) {
				config, _, err := iam.Configs(iam.Config{API: s.open(t, transport), Settle: -1})
				enginetest.NoError(t, err)
				return config, nawasynctest.RemoteServer[iam.User]{
					Create: func(u iam.User) (iam.User, error) {
						id, err := other.CreateUser(ctx, u.Realm, fieldsOf(u))
						u.UserID = id
						return u, err
					},
					Change: func(u iam.User) error {
						fields := fieldsOf(u)
						delete(fields, "username")
						return other.UpdateUser(ctx, u.Realm, u.UserID, fields)
					},
					Delete: func(u iam.User) error { return other.DeleteUser(context.WithoutCancel(ctx), u.Realm, u.UserID) },
				}
			},
			Scope: iam.User{Realm: s.realms[0].Name}, OtherScope: iam.User{Realm: s.realms[1].Name}, GoneScope: iam.User{Realm: "gone"},
			Object: func(n int) iam.User {
				name := fmt.Sprintf("Suite-%s-%d", prefix, n)
				return iam.User{
					Realm: s.realms[0].Name, Username: name, Email: name + "@Main.Example", FirstName: "Suite", LastName: fmt.Sprint(n), Enabled: true,
					RequiredActions: []string{"VERIFY_EMAIL", "CONFIGURE_TOTP"},
				}
			},
			Changes: []func(*iam.User, int){
				func(u *iam.User, n int) { u.FirstName = fmt.Sprintf("First %d", n) },
				func(u *iam.User, n int) { u.Email = fmt.Sprintf("Other-%d-%s", n, u.Email) },
				func(u *iam.User, n int) { u.Enabled = n%2 == 0 },
				func(u *iam.User, n int) { u.EmailVerified = n%2 == 1 },
				func(u *iam.User, n int) { u.RequiredActions = []string{"UPDATE_PASSWORD", "UPDATE_PROFILE"}[:1+n%2] },
				func(u *iam.User, n int) { u.LastName = []string{"", "Adi", "Utami"}[n%3] },
			},
			PageSize: suitePage, Secrets: []nawasync.Secret{secret.New(serverSecret)}, IsWrite: isWrite, ErrorBody: suiteRefusal,
		})
	})
}

func TestClientsPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		other := s.api(t, remote.Config{}, 0)
		ctx, prefix := t.Context(), rand.Text()[:6]
		nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[iam.Client]{
			Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[iam.Client], nawasynctest.RemoteServer[iam.Client]) {
				_, config, err := iam.Configs(iam.Config{API: s.open(t, transport), Settle: -1})
				enginetest.NoError(t, err)
				return config, nawasynctest.RemoteServer[iam.Client]{
					Create: func(c iam.Client) (iam.Client, error) {
						id, err := other.CreateApp(ctx, c.Realm, fieldsOf(c))
						c.UUID = id
						return c, err
					},
					Change: func(c iam.Client) error { return other.UpdateApp(ctx, c.Realm, c.UUID, fieldsOf(c)) },
					Delete: func(c iam.Client) error { return other.DeleteApp(context.WithoutCancel(ctx), c.Realm, c.UUID) },
				}
			},
			Scope: iam.Client{Realm: s.realms[0].Name}, OtherScope: iam.Client{Realm: s.realms[1].Name}, GoneScope: iam.Client{Realm: "gone"},
			Object: func(n int) iam.Client {
				return iam.Client{
					Realm: s.realms[0].Name, ClientID: fmt.Sprintf("Suite-%s-%d", prefix, n), Name: "Suite", Description: "of a test", Enabled: true,
					RedirectURIs: []string{"https://b.example/*", "https://a.example/*"}, WebOrigins: []string{"https://b.example", "+"},
				}
			},
			Changes: []func(*iam.Client, int){
				func(c *iam.Client, n int) { c.Name = fmt.Sprintf("Name %d", n) },
				func(c *iam.Client, n int) {
					c.RedirectURIs = []string{fmt.Sprintf("https://c%d.example/*", n), "https://a.example/*"}
				},
				func(c *iam.Client, n int) { c.WebOrigins = []string{"+", "*"}[:n%2] },
				func(c *iam.Client, n int) { c.Enabled = n%2 == 0 },
				func(c *iam.Client, n int) { c.Public = n%2 == 1 },
				func(c *iam.Client, n int) { c.RootURL = []string{"", "https://a.example", "https://b.example"}[n%3] },
			},
			PageSize: suitePage, Secrets: []nawasync.Secret{secret.New(serverSecret)}, IsWrite: isWrite, ErrorBody: suiteRefusal,
		})
	})
}
