package iam_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// restSize says how much happens at the same time.
type restSize struct {
	users, changes int // of each side
	spread         time.Duration
}

// While a started engine works, another client changes, creates and deletes users of the same realm.
func TestAtRestEveryRowEqualsTheServer(t *testing.T) {
	t.Parallel()
	size := enginetest.Sized(restSize{60, 30, 0}, restSize{5000, 500, 10 * time.Minute})
	onBoth(t, func(t *testing.T, s *server) {
		const settle = 2 * time.Second
		w := worldAt(t, s, testdb.SQLite(t), time.Now, settle)
		w.seedUsers(size.users)
		w.h.Start(w.engine)
		began := time.Now()
		w.syncAtRest()
		t.Logf("the first sync of %d users took %s", size.users, time.Since(began))
		for _, id := range w.disturbed(size) {
			if job := w.await(id); job.Status != tracker.StatusSuccess {
				t.Errorf("%s of %s is %s: %s", job.Action, job.TargetID, job.Status, job.Error)
			}
		}
		if size.spread == 0 {
			w.noError(w.disturbOurs(size, false))
		}
		time.Sleep(settle) // a sync leaves rows alone that were written just before
		w.syncAtRest()
		w.compare(size)
		for i := 0; i < size.changes; i += 30 {
			if problem := w.signIn(fmt.Sprintf("ours-%d", i), firstPassword); problem != "" {
				t.Errorf("the user ours-%d cannot sign in: %s", i, problem)
			}
		}
		w.nowhere(firstPassword)
	})
}

// seedUsers gives the realm users.
func (w *world) seedUsers(n int) {
	w.t.Helper()
	for first := 0; first < n; first += 500 {
		var list []map[string]any
		for i := first; i < min(n, first+500); i++ {
			name := fmt.Sprintf("seed-%d", i)
			list = append(list, map[string]any{"username": name, "email": name + "@users.example", "firstName": "First", "lastName": "Last", "enabled": true})
		}
		if w.simulated != nil {
			for _, fields := range list {
				w.noError(w.simulated.PutUser(w.realm, fmt.Sprint(fields["username"]), fields))
			}
			continue
		}
		w.do(w.t, http.MethodPost, "/admin/realms/"+w.realm+"/partialImport", map[string]any{"ifResourceExists": "FAIL", "users": list})
	}
}

// syncAtRest syncs the users until no row is missing: the second listing has the deletions confirmed.
func (w *world) syncAtRest() {
	w.t.Helper()
	for deadline := time.Now().Add(waitLimit()); ; time.Sleep(10 * time.Millisecond) {
		job, err := w.Users.SyncNow(w.t.Context(), iam.User{Realm: w.realm}, "", byAnn)
		w.noError(err)
		job = w.await(job.ID)
		if w.states()[nawasync.StateMissing] == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("after all syncs, the rows are %v: %s", w.states(), job.Result)
		}
	}
}

// waitLimit is how long the test waits: a real server on a busy machine takes minutes to list 5,000 users.
func waitLimit() time.Duration { return enginetest.Sized(2*time.Minute, 15*time.Minute) }

// await waits until a job has ended.
func (w *world) await(id int64) *tracker.Job {
	w.t.Helper()
	for deadline := time.Now().Add(waitLimit()); ; time.Sleep(10 * time.Millisecond) {
		job, err := w.engine.Reader().Get(w.t.Context(), id)
		w.noError(err)
		if job.Status.Terminal() {
			return job
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s of %s is still %s: %s", job.Action, job.TargetID, job.Status, job.Error)
		}
	}
}

// disturbed dispatches our changes while another client makes its own, and returns the jobs.
func (w *world) disturbed(size restSize) (jobs []int64) {
	w.t.Helper()
	theirs := make(chan error, 1)
	pause := size.spread / time.Duration(size.changes)
	if size.spread == 0 {
		w.noError(w.disturbOurs(size, true))
	}
	go func() {
		var failed error
		for i := range size.changes {
			if size.spread > 0 || i%3 != 1 {
				failed = errors.Join(failed, w.disturb(i, size))
			}
			time.Sleep(pause)
		}
		theirs <- failed
	}()
	for i := range size.changes {
		ids, err := w.ours(i)
		w.noError(err)
		jobs = append(jobs, ids...)
		if i%(size.changes/3) == 0 {
			_, err := w.Users.SyncNow(w.t.Context(), iam.User{Realm: w.realm}, "", byAnn)
			w.noError(err)
		}
		time.Sleep(pause)
	}
	w.noError(<-theirs)
	return jobs
}

// disturbOurs has the other client change users that our jobs change, too: in a short run a half before and a half
// after them. At the same time, Keycloak would let the later of two changes undo the other field of the earlier one.
func (w *world) disturbOurs(size restSize, before bool) (failed error) {
	for i := 1; i < size.changes; i += 3 {
		if (i < size.changes/2) == before {
			failed = errors.Join(failed, w.disturb(i, size))
		}
	}
	return failed
}

// ours dispatches a creation, a change or a deletion.
func (w *world) ours(i int) (ids []int64, err error) {
	ctx, name := w.t.Context(), fmt.Sprintf("ours-%d", i)
	if i%3 == 0 {
		want := iam.User{Realm: w.realm, Username: name, Email: name + "@users.example", FirstName: "Our", LastName: "User", Enabled: true}
		job, err := w.CreateUser(ctx, want, iam.ResetPassword{Password: secret.New(firstPassword)}, byAnn)
		if err != nil {
			return nil, err
		}
		return []int64{job.ID, job.ID + 1}, nil
	}
	seen := w.user(fmt.Sprintf("seed-%d", i))
	job, err := w.Users.Update(ctx, seen, func(u *iam.User) { u.FirstName = fmt.Sprintf("Ours %d", i) }, byAnn)
	if i%3 == 2 {
		job, err = w.Users.Delete(ctx, seen, byAnn)
	}
	if err != nil {
		return nil, err
	}
	return []int64{job.ID}, nil
}

// disturb makes a creation, a change or a deletion of another client. It changes another field of users that our jobs
// change too, half of the run before or after them.
func (w *world) disturb(i int, size restSize) error {
	ctx, name := w.ended(), fmt.Sprintf("theirs-%d", i)
	switch i % 3 {
	case 0:
		_, err := w.other.CreateUser(ctx, w.realm, map[string]any{"username": name, "email": name + "@users.example", "enabled": true})
		return err
	case 1:
		name = fmt.Sprintf("seed-%d", (i+size.thirds()/6*3)%size.thirds())
	default:
		name = fmt.Sprintf("seed-%d", size.users-1-i)
	}
	u, err := w.other.FindUser(ctx, w.realm, name)
	if err != nil {
		return err
	}
	if i%3 == 1 { // in one call, which reads nothing that our jobs could change meanwhile
		_, err = w.other.Remote().Call(ctx, w.realm, remote.Call{
			Method: http.MethodPut, URL: w.url + "/admin/realms/" + w.realm + "/users/" + u.ID, JSON: map[string]any{"lastName": "Theirs"},
		}, nil)
		return err
	}
	return w.other.DeleteUser(ctx, w.realm, u.ID)
}

// thirds returns the number of changes, without the last ones if it has a remainder.
func (s restSize) thirds() int { return s.changes / 3 * 3 }

// compare fails if a row differs from the server, or if a change of either side is missing at the server.
func (w *world) compare(size restSize) {
	w.t.Helper()
	rows := map[string]iam.User{}
	for row, err := range w.Users.All(w.t.Context(), nawasync.Query{Where: map[string]any{"realm": w.realm}}) {
		w.noError(err)
		if _, twice := rows[row.UserID]; twice || row.State != nawasync.StateSynced {
			w.t.Errorf("the row of %s is %s (%s); there are two: %t", row.Username, row.State, row.SyncError, twice)
		}
		rows[row.UserID] = row
	}
	users := map[string]kcapi.User{}
	for page, err := range w.other.Users(w.t.Context(), w.realm, "") {
		w.noError(err)
		for _, u := range page.Items {
			users[u.Username] = u
			row := rows[u.ID]
			if texts(u) != texts(kcapi.User{
				ID: row.UserID, Username: row.Username, Email: row.Email, FirstName: row.FirstName, LastName: row.LastName, Enabled: row.Enabled,
				EmailVerified: row.EmailVerified, RequiredActions: row.RequiredActions,
			}) {
				w.t.Errorf("the row %+v differs from the user %+v", row, u)
			}
		}
	}
	if len(users) != len(rows) {
		w.t.Errorf("there are %d rows for %d users", len(rows), len(users))
	}
	for i := range size.changes {
		if problem := size.missing(users, i); problem != "" {
			w.t.Error(problem)
		}
	}
	w.t.Logf("%d rows equal the server's users, which have the %d changes of each side", len(rows), size.changes)
}

func texts(u kcapi.User) string {
	slices.Sort(u.RequiredActions)
	return fmt.Sprint(u.ID, u.Username, u.Email, u.FirstName, u.LastName, u.Enabled, u.EmailVerified, u.RequiredActions)
}

// missing returns what the server lacks of the ith changes, or "".
func (s restSize) missing(users map[string]kcapi.User, i int) string {
	seed, ours := users[fmt.Sprintf("seed-%d", i)], fmt.Sprintf("Ours %d", i)
	switch i % 3 {
	case 0:
		for _, name := range []string{fmt.Sprintf("ours-%d", i), fmt.Sprintf("theirs-%d", i)} {
			if users[name].ID == "" {
				return "the created user " + name + " is missing"
			}
		}
	case 1:
		if seed.FirstName != ours || seed.LastName != "Theirs" && i < s.thirds() {
			return fmt.Sprintf("the user %s has the name %q, %q; want %q, Theirs", seed.Username, seed.FirstName, seed.LastName, ours)
		}
	default:
		for _, name := range []string{fmt.Sprintf("seed-%d", i), fmt.Sprintf("seed-%d", s.users-1-i)} {
			if users[name].ID != "" {
				return "the deleted user " + name + " is still there"
			}
		}
	}
	return ""
}
