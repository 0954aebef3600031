package mirror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

var hookKey = nawasync.NewSecret("a key of the webhook tests")

// memberEvents maps a body such as {"id":"1","names":["ann"]} to keys.
func memberEvents(_ *http.Request, body []byte) (keys []member, err error) {
	var event struct{ Names []string }
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, err
	}
	for _, name := range event.Names {
		keys = append(keys, member{Realm: "r", Name: name})
	}
	return keys, nil
}

// hook is the webhook of members, with what a test sends to it.
type hook struct {
	mirror.Webhook[member]
	handler http.Handler
	now     func() time.Time
}

func (m members) hook(w mirror.Webhook[member]) hook {
	m.t.Helper()
	if w.Keys == nil {
		w.Keys = memberEvents
	}
	if w.Verify == nil && w.Secrets == nil {
		w.Secrets = []nawasync.Secret{hookKey}
	}
	handler, err := w.Handler(m.SyncedRepository)
	enginetest.NoError(m.t, err)
	return hook{w, handler, m.clock.Now}
}

// send sends a body that is signed now, and returns the status. change, if not nil, changes the request.
func (h hook) send(t *testing.T, body string, change func(*http.Request)) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Webhook-Signature", h.Sign(h.now(), []byte(body)))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Body.Len() > 0 {
		t.Errorf("the answer %d has a body: %q", w.Code, w.Body)
	}
	return w.Code
}

const annChanged = `{"id":"1","names":["ann"]}`

func TestWebhookRefreshesTheObjectsThatASignedRequestNames(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		h := m.hook(mirror.Webhook[member]{})
		m.remote.put(memberNamed("bob"))
		if code := h.send(t, `{"names":["ann","bob","ann"]}`, nil); code != http.StatusNoContent {
			t.Fatalf("status = %d, want 204", code)
		}
		if n := m.jobsOf(tracker.RefreshAction); n != 2 {
			t.Errorf("%d refreshes, want one for each object", n)
		}
		var by, source string
		enginetest.NoError(t, db.Raw("SELECT triggered_by, trigger_source FROM nawasync_jobs WHERE action = 'refresh' LIMIT 1").Row().Scan(&by, &source))
		if by != "webhook" || source != string(nawasync.SourceEvent) {
			t.Errorf("refresh by %q, source %q", by, source)
		}
		enginetest.NoError(t, drainAll(m))
		if row := m.find("bob"); row.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want bob", row)
		}
		if code := h.send(t, `{"names":[]}`, nil); code != http.StatusNoContent {
			t.Errorf("status of an event without objects = %d, want 204", code)
		}
	})
}

func TestWebhookAcceptsARequestOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		first, second := m.hook(mirror.Webhook[member]{}), m.hook(mirror.Webhook[member]{}) // of two processes
		at := m.clock.Now()
		signed := func(r *http.Request) { r.Header.Set("Webhook-Signature", first.Sign(at, []byte(annChanged))) }
		for i, h := range []hook{first, second, first} {
			if code := h.send(t, annChanged, signed); code != http.StatusNoContent {
				t.Errorf("status of request %d = %d, want 204", i, code)
			}
			enginetest.NoError(t, drainAll(m)) // else the refreshes would be one job anyway
		}
		if n := m.jobsOf(tracker.RefreshAction); n != 1 {
			t.Errorf("%d refreshes of one request, want 1", n)
		}
		m.clock.Advance(6 * time.Minute)
		if code := second.send(t, annChanged, signed); code != http.StatusUnauthorized {
			t.Errorf("status after 6 minutes = %d, want 401", code)
		}
		store := enginetest.Store(m.engine)
		for want := range []int{0, 1} { // it is still remembered when it has just become invalid
			n, err := store.PruneDeliveries(t.Context(), m.clock.Now().Add(-15*time.Minute), 1000)
			if err != nil || n != want {
				t.Errorf("PruneDeliveries = %d, %v, want %d", n, err, want)
			}
			m.clock.Advance(10 * time.Minute)
		}
	})
}

func TestWebhookRefusesWhatIsNotSignedTooLargeOrOfAnotherType(t *testing.T) {
	t.Parallel()
	m := newMembers(t, testdb.SQLite(t), "ann")
	log := &enginetest.LogBuffer{}
	h := m.hook(mirror.Webhook[member]{
		Secrets: []nawasync.Secret{hookKey, nawasync.NewSecret("an older key of the tests")}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	old := mirror.Webhook[member]{Secrets: h.Secrets[1:]}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	signature := h.Sign(m.clock.Now(), []byte(annChanged))
	many, _ := json.Marshal(map[string]any{"names": strings.Split(strings.Repeat("x,", 1000)+"x", ",")})
	for _, c := range []struct {
		name, body string
		change     func(*http.Request)
		want       int
	}{
		{"another body", `{"names":["bob"]}`, header("Webhook-Signature", signature), 401},
		{"no signature", annChanged, func(r *http.Request) { r.Header.Del("Webhook-Signature") }, 401},
		{"another time", annChanged, header("Webhook-Signature", strings.Replace(signature, "time=", "time=1", 1)), 401},
		{"another key", annChanged, header("Webhook-Signature", mirror.Webhook[member]{Secrets: []nawasync.Secret{nawasync.NewSecret("someone's own key")}}.Sign(m.clock.Now(), []byte(annChanged))), 401},
		{"too old", annChanged, header("Webhook-Signature", h.Sign(m.clock.Now().Add(-301*time.Second), []byte(annChanged))), 401},
		{"too new", annChanged, header("Webhook-Signature", h.Sign(m.clock.Now().Add(302*time.Second), []byte(annChanged))), 401},
		{"a cut signature", annChanged, header("Webhook-Signature", signature[:len(signature)-2]), 401},
		{"GET", annChanged, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		{"a form", annChanged, header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"no type", annChanged, func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		{"a large body", strings.Repeat(" ", 1<<20) + "{}", nil, 413},
		{"many keys", string(many), nil, 413},
		{"no JSON", "nope", nil, 503},
		{"the older key", annChanged, header("Webhook-Signature", old.Sign(m.clock.Now(), []byte(annChanged))), 204},
		{"several signatures", `{"names":["bob"]}`, func(r *http.Request) {
			r.Header.Set("Webhook-Signature", strings.Replace(r.Header.Get("Webhook-Signature"), "sig1=", "v1=00,sig1=", 1))
		}, 204},
	} {
		if code := h.send(t, c.body, c.change); code != c.want {
			t.Errorf("status of %s = %d, want %d", c.name, code, c.want)
		}
	}
	if n := m.jobsOf(tracker.RefreshAction); n != 2 {
		t.Errorf("%d refreshes, want 2", n)
	}
	if text := log.String(); strings.Contains(text, "status=401") || !strings.Contains(text, "map the request to keys") {
		t.Errorf("log = %s, want the reason of 503 and nothing of the unsigned ones", text)
	}
}

func TestWebhookUsesTheSignatureOfTheHost(t *testing.T) {
	t.Parallel()
	m := newMembers(t, testdb.SQLite(t), "ann")
	h := m.hook(mirror.Webhook[member]{ContentType: "text/plain", By: "github", Verify: func(r *http.Request, _ []byte) (string, error) {
		if r.Header.Get("X-Token") != "right" {
			return "", errors.New("wrong token")
		}
		return r.Header.Get("X-Delivery"), nil
	}})
	send := func(token, delivery string) int {
		return h.send(t, annChanged, func(r *http.Request) {
			r.Header.Set("Content-Type", "text/plain")
			r.Header.Set("X-Token", token)
			r.Header.Set("X-Delivery", delivery)
		})
	}
	for i, c := range []struct {
		token, delivery string
		want, refreshes int
	}{{"wrong", "1", 401, 0}, {"right", "1", 204, 1}, {"right", "1", 204, 1}, {"right", "2", 204, 2}} {
		if code := send(c.token, c.delivery); code != c.want {
			t.Errorf("status of request %d = %d, want %d", i, code, c.want)
		}
		enginetest.NoError(t, drainAll(m))
		if n := m.jobsOf(tracker.RefreshAction); n != int64(c.refreshes) {
			t.Errorf("%d refreshes after request %d, want %d", n, i, c.refreshes)
		}
	}
}

func TestWebhookAnswers503WhileItsRequestsCannotBeStoredAndAcceptsThemLater(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		h := m.hook(mirror.Webhook[member]{})
		enginetest.NoError(t, db.Exec("ALTER TABLE nawasync_keys RENAME TO away").Error)
		if code := h.send(t, annChanged, nil); code != http.StatusServiceUnavailable {
			t.Errorf("status without a table = %d, want 503", code)
		}
		enginetest.NoError(t, db.Exec("ALTER TABLE away RENAME TO nawasync_keys").Error)
		if code := h.send(t, annChanged, nil); code != http.StatusNoContent || m.jobsOf(tracker.RefreshAction) != 1 {
			t.Errorf("status of the repeated request = %d, with %d refreshes; want 204 and 1: the first one was rolled back", code, m.jobsOf(tracker.RefreshAction))
		}
	})
}

func TestWebhookRefusesRequestsOnceTooManyAreRemembered(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		h := m.hook(mirror.Webhook[member]{})
		numbers := "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
		insert := map[bool]string{
			false: numbers + "INSERT INTO nawasync_deliveries SELECT CAST(a.i * 1000 + b.i AS %s), 1 FROM n a, n b WHERE a.i <= 100",
			true:  "INSERT INTO nawasync_deliveries " + numbers + "SELECT CAST(a.i * 1000 + b.i AS %s), 1 FROM n a, n b WHERE a.i <= 100",
		}[db.Dialect == "mysql"]
		enginetest.NoError(t, db.Exec(fmt.Sprintf(insert, map[bool]string{false: "TEXT", true: "CHAR"}[db.Dialect == "mysql"])).Error)
		if code := h.send(t, annChanged, nil); code != http.StatusServiceUnavailable || m.jobsOf(tracker.RefreshAction) != 0 {
			t.Errorf("status = %d, want 503", code)
		}
		store := enginetest.Store(m.engine)
		for {
			n, err := store.PruneDeliveries(t.Context(), m.clock.Now(), 20_000)
			enginetest.NoError(t, err)
			if n == 0 {
				break
			}
		}
		m.clock.Advance(11 * time.Second)
		if code := h.send(t, annChanged, nil); code != http.StatusNoContent {
			t.Errorf("status after they were pruned = %d, want 204", code)
		}
	})
}

func TestIncompleteWebhookIsRefused(t *testing.T) {
	t.Parallel()
	m := newMembers(t, testdb.SQLite(t), "ann")
	keys := []nawasync.Secret{hookKey}
	for name, w := range map[string]mirror.Webhook[member]{
		"no keys":      {Secrets: keys},
		"no secret":    {Keys: memberEvents},
		"short secret": {Keys: memberEvents, Secrets: append(keys, nawasync.NewSecret("short"))},
	} {
		if _, err := w.Handler(m.SyncedRepository); !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("Handler with %s = %v, want ErrInvalid", name, err)
		}
	}
	complete := mirror.Webhook[member]{Secrets: keys, Keys: memberEvents}
	if _, err := complete.Handler(nil); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("Handler(nil) = %v, want ErrInvalid", err)
	}
	only := newMirrored[member](t, testdb.SQLite(t), "members", memberColumns, listingMembers{m.remote})
	if _, err := complete.Handler(only.SyncedRepository); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Handler of a remote without Get = %v, want ErrUnsupported", err)
	}
}
