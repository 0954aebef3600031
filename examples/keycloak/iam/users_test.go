package iam_test

import (
	"slices"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// sim4 is a simulated Keycloak whose first realm has four users.
var sim4 = sim.Options{Users: 4}

const firstPassword, secondPassword = "Correct-horse-7", "Battery-staple-9"

func TestUserAndPasswordAreOneForm(t *testing.T) {
	inWorld(t, func(w *world) {
		want := iam.User{Realm: w.realm, Username: " Carla", Email: "Carla@Users.Example", FirstName: "Carla", LastName: "Adi", Enabled: true}
		w.want(w.run(w.CreateUser(w.t.Context(), want, iam.ResetPassword{Password: secret.New(firstPassword)}, byAnn)), tracker.StatusSuccess, "created")
		row := w.user("carla")
		if row.State != nawasync.StateSynced || row.UserID == "" || row.Email != "carla@users.example" {
			w.t.Errorf("the row is %+v", row)
		}
		if problem := w.signIn("carla", firstPassword); problem != "" {
			w.t.Errorf("the user cannot sign in: %s", problem)
		}
		w.want(w.run(w.ResetPassword(w.t.Context(), row, iam.ResetPassword{secret.New(secondPassword), true}, byAnn)), tracker.StatusSuccess, "")
		if row = w.user("carla"); !slices.Equal(row.RequiredActions, []string{"UPDATE_PASSWORD"}) {
			w.t.Errorf("with a temporary password the row has the required actions %v", row.RequiredActions)
		}
		for password, want := range map[string]string{firstPassword: "Invalid user credentials", secondPassword: "Account is not fully set up"} {
			if got := w.signIn("carla", password); got != want {
				w.t.Errorf("signing in with a password answers %q, want %q", got, want)
			}
		}
		w.nowhere(firstPassword, secondPassword)
	})
}

func TestPasswordOfAUserThatWasNotCreatedIsSkipped(t *testing.T) {
	inWorld(t, func(w *world) {
		w.newUser("taken", map[string]any{"email": "taken@users.example"})
		want := iam.User{Realm: w.realm, Username: "carla", Email: "taken@users.example", Enabled: true}
		creation := w.run(w.CreateUser(w.t.Context(), want, iam.ResetPassword{Password: secret.New(firstPassword)}, byAnn))
		w.want(creation, tracker.StatusFailed, "same email")
		reset, err := w.engine.Reader().Get(w.t.Context(), creation.ID+1) // the one that was dispatched with it
		w.noError(err)
		w.want(reset, tracker.StatusSkipped, "same email")
		w.nowhere(firstPassword)
	})
}

func TestTwoFieldsOfTwoPeopleMergeAndOneConflicts(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.newUser("dora", nil)
		w.sync()
		seen := w.user("dora")
		w.noError(w.other.UpdateUser(w.t.Context(), w.realm, id, map[string]any{"lastName": "Theirs"}))
		w.want(w.run(w.Users.Update(w.t.Context(), seen, func(u *iam.User) { u.FirstName = "Ours" }, byAnn)), tracker.StatusSuccess, "written")
		conflict := w.run(w.Users.Update(w.t.Context(), seen, func(u *iam.User) { u.LastName = "Ours" }, byAnn))
		w.want(conflict, tracker.StatusConflict, "")
		w.want(w.run(mirror.KeepTheirs(w.t.Context(), w.engine, conflict.ID, nawasync.OperatorOptions{By: "user:7"})), tracker.StatusSuccess, "")
		w.want(w.run(w.Users.Update(w.t.Context(), w.user("dora"), func(u *iam.User) { u.Enabled = false }, nawasync.Options{Action: "user_toggle"})), tracker.StatusSuccess, "written")
		d := w.document(id)
		phone, _ := d["attributes"].(map[string]any)["phone"].([]any)
		if d["firstName"] != "Ours" || d["lastName"] != "Theirs" || d["enabled"] != false || d["email"] != "dora@users.example" || len(phone) != 1 {
			w.t.Errorf("the user at the server is %v; want both changes, and the attributes that nobody here knows", d)
		}
		// Attributes alone would have the server clear the names and the address.
		w.noError(w.other.UpdateUser(w.t.Context(), w.realm, id, map[string]any{"attributes": map[string][]string{"phone": {"+62 21 555 9999"}}}))
		if d := w.document(id); d["firstName"] != "Ours" || d["lastName"] != "Theirs" || d["email"] != "dora@users.example" {
			w.t.Errorf("after a change of its attributes the user at the server is %v", d)
		}
		if row := w.user("dora"); row.LastName != "Theirs" || row.State != nawasync.StateSynced {
			w.t.Errorf("the row is %+v", row)
		}
	})
}

// Between the read and the write of an update, others add and remove required actions.
func TestListIsMergedWithWhatOthersAddAndRemove(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.newUser("ella", map[string]any{"requiredActions": []string{"VERIFY_EMAIL", "UPDATE_PROFILE"}})
		config, _, err := iam.Configs(iam.Config{API: w.other, Settle: -1})
		w.noError(err)
		updater, _ := config.Remote.(mirror.Updater[iam.User])
		reader, _ := config.Remote.(mirror.Reader[iam.User])
		current, err := reader.Get(w.t.Context(), iam.User{Realm: w.realm, UserID: id})
		w.noError(err)
		w.noError(w.other.UpdateUser(w.t.Context(), w.realm, id, map[string]any{"requiredActions": []string{"UPDATE_PROFILE", "UPDATE_PASSWORD"}}))
		want := current.Value
		want.RequiredActions = []string{"VERIFY_EMAIL", "CONFIGURE_TOTP"}
		_, err = updater.Update(w.t.Context(), current, want, mirror.FieldDiff{{Field: "required_actions"}})
		w.noError(err)
		after, err := reader.Get(w.t.Context(), current.Value)
		w.noError(err)
		slices.Sort(after.Value.RequiredActions)
		if !slices.Equal(after.Value.RequiredActions, []string{"CONFIGURE_TOTP", "UPDATE_PASSWORD"}) {
			w.t.Errorf("the required actions are %v, want what both have added and nothing that one has removed", after.Value.RequiredActions)
		}
	})
}

func TestUserOfAnotherNameOrAddressIsReportedAndNotOverwritten(t *testing.T) {
	inWorld(t, func(w *world) {
		w.newUser("fred", nil)
		w.newUser("gina", nil)
		// fred exists, with other values than the wanted ones: a conflict, which the user decides.
		w.want(w.run(w.Users.Create(w.t.Context(), iam.User{Realm: w.realm, Username: "FRED", Enabled: true}, byAnn)), tracker.StatusConflict, "")
		w.sync()
		w.want(w.run(w.Users.Update(w.t.Context(), w.user("gina"), func(u *iam.User) { u.Email = "fred@users.example" }, byAnn)), tracker.StatusFailed, "same email")
		w.want(w.run(w.Users.Update(w.t.Context(), w.user("gina"), func(u *iam.User) { u.Email = "no address" }, byAnn)), tracker.StatusFailed, "error-invalid-email")
		if row := w.user("gina"); row.Email != "gina@users.example" {
			w.t.Errorf("the row of a user that was not changed has the address %s", row.Email)
		}
	})
}

// The server says that it has stored an action that it does not know, and drops it.
func TestRequiredActionThatTheServerDropsIsReported(t *testing.T) {
	inWorld(t, func(w *world) {
		w.newUser("gerd", nil)
		w.sync()
		update := func(u *iam.User) { u.RequiredActions = []string{"NO_ACTION"} }
		w.want(w.run(w.Users.Update(w.t.Context(), w.user("gerd"), update, byAnn)), tracker.StatusFailed, "not applied")
	})
}

func TestHiddenUsersAreNeverPruned(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, name := range []string{"hans", "ines", "jana"} {
			w.newUser(name, nil)
		}
		w.sync()
		rows := len(w.states()) // one state: synced
		before := w.states()[nawasync.StateSynced]
		w.roles(w.t, "query-users", "view-realm", "view-events") // it may ask for users, and sees none
		for range 4 {
			w.sync()
			w.release()
		}
		after, total := w.states(), 0
		for _, n := range after {
			total += n
		}
		if rows != 1 || total != before {
			w.t.Fatalf("of %d rows %v are left, want all", before, after)
		}
		w.roles(w.t, allRoles...)
		w.sync()
		if got := w.states(); got[nawasync.StateSynced] != before {
			w.t.Errorf("once the users can be seen again, the rows are %v, want all synced", got)
		}
	})
}

// release decides that the deletions of a held sync are right.
func (w *world) release() {
	w.t.Helper()
	holds, err := w.engine.Reader().Holds(w.t.Context(), iam.Service, "user", true, 10)
	w.noError(err)
	for _, hold := range holds {
		_, err := mirror.ReleaseHold(w.t.Context(), w.engine, hold.ID, nawasync.OperatorOptions{By: "user:7"})
		w.noError(err)
		w.drain()
	}
}

func TestOneForbiddenUserFailsAloneAndLostRolesParkTheRealm(t *testing.T) {
	simulatedWorld(t, func(w *world) {
		w.noError(w.SyncAll(w.t.Context(), []string{"main", "shop"}, byAnn))
		w.drain()
		w.noError(w.simulated.Hide("main", true, "ayu.adi"))
		toggle := func(name string) (*tracker.Job, error) {
			return w.Users.Update(w.t.Context(), w.user(name), func(u *iam.User) { u.Enabled = !u.Enabled }, byAnn)
		}
		w.want(w.run(toggle("ayu.adi")), tracker.StatusFailed, "HTTP 403 Forbidden")
		w.want(w.run(toggle("budi.adi")), tracker.StatusSuccess, "written")
		w.parked("while one user is hidden")

		refused := w.refused.Load()
		w.noError(w.simulated.Forbid("main", true))
		w.onRefused = func(n int64) {
			if n-refused == 6 { // each of the job and two probes: the call, and the check of the credentials
				w.parked("while the roles are lost", "main")
				w.noError(w.simulated.Forbid("main", false))
			}
		}
		w.want(w.run(toggle("citra.adi")), tracker.StatusSuccess, "written")
		if n := w.refused.Load() - refused; n != 6 {
			w.t.Errorf("%d calls were refused, want 6", n)
		}
		w.parked("once the roles are back")
	})
}

// parked checks which limit scopes are parked.
func (w *world) parked(when string, want ...string) {
	w.t.Helper()
	scopes, err := w.engine.Reader().Scopes(w.t.Context())
	w.noError(err)
	var got []string
	for _, s := range scopes {
		if s.Parked {
			got = append(got, s.Instance)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s, the realms %v are parked, want %v", when, got, want)
	}
}

func TestTokenThatEndsEarlyIsReplacedInsideTheCall(t *testing.T) {
	simulatedWorld(t, func(w *world) {
		w.sync()
		tokens := w.simulated.Calls(sim.OpToken)
		w.noError(w.simulated.Revoke("main"))
		w.want(w.run(w.Users.Update(w.t.Context(), w.user("ayu.adi"), func(u *iam.User) { u.FirstName = "A" }, byAnn)), tracker.StatusSuccess, "written")
		if n := w.simulated.Calls(sim.OpToken) - tokens; n != 1 {
			w.t.Errorf("%d tokens were requested, want one", n)
		}
	})
}
