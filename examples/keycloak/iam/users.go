package iam

import (
	"context"
	"iter"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/mirror"
)

// users is the adapter of the users.
type users struct{ realms[User] }

func newUsers(api *kcapi.Client) (*users, error) {
	wire, err := mirror.NewWire[User]()
	return &users{realms[User]{
		api, wire, kcapi.KindUser, func(scope User) string { return scope.Realm }, func(id string) User { return User{UserID: id} },
	}}, err
}

func userOf(realm string, u kcapi.User) User {
	row := User{
		Realm: realm, UserID: u.ID, Username: u.Username, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName, Enabled: u.Enabled,
		EmailVerified: u.EmailVerified, RequiredActions: u.RequiredActions,
	}
	if u.Created > 0 {
		created := time.UnixMilli(u.Created).UTC()
		row.RegisteredAt = &created
	}
	return row
}

// List lists the users that the service account may see. What a listing leaves out may be hidden, which Get tells: so the
// proof is that of a list without a total.
func (r *users) List(ctx context.Context, scope User, _ string) iter.Seq2[mirror.Page[User], error] {
	return mirror.Pages(r.api.Users(ctx, scope.Realm, ""), mirror.ProofExhausted, false, func(u kcapi.User) User { return userOf(scope.Realm, u) })
}

func (r *users) Get(ctx context.Context, key User) (o mirror.Object[User], err error) {
	var u kcapi.User
	if key.UserID == "" {
		u, err = r.api.FindUser(ctx, key.Realm, key.Username)
	} else {
		u, err = r.api.User(ctx, key.Realm, key.UserID)
	}
	o.Value = userOf(key.Realm, u)
	return o, err
}

// Create returns what was asked for, with the identifier: the answer has nothing else.
func (r *users) Create(ctx context.Context, want User) (o mirror.Object[User], err error) {
	fields, err := r.wire.All(want)
	if err != nil {
		return o, err
	}
	o.Value = want
	o.Value.UserID, err = r.api.CreateUser(ctx, want.Realm, fields)
	return o, err
}

func (r *users) Update(ctx context.Context, current mirror.Object[User], want User, touched mirror.FieldDiff) (o mirror.Object[User], err error) {
	fields, err := r.wire.Changed(want, touched)
	if err != nil {
		return o, err
	}
	kcapi.MergeSet(fields, "requiredActions", current.Value.RequiredActions, want.RequiredActions)
	return o, r.api.UpdateUser(ctx, want.Realm, current.Value.UserID, fields)
}

func (r *users) Delete(ctx context.Context, key User) error {
	return r.api.DeleteUser(ctx, key.Realm, key.UserID)
}
