package nawasync_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// newCredential returns a client's own credential. Other tests leave theirs in the same Redis.
func newCredential() string { return `WHM"t0ken&für/+` + rand.Text() }

// leakyArgs are the arguments of a job that shows the credential in one of many ways.
type leakyArgs struct {
	ID, How, Note string
}

func (leakyArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "account", Action: "suspend"}
}

func (a leakyArgs) Target() nawasync.Target { return nawasync.Target{Instance: a.How, ID: a.ID} }

func (leakyArgs) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 1} }

// everySpelling returns a text with all spellings of a secret.
func everySpelling(secret string) string {
	var parts []string
	for _, s := range enginetest.Spellings(secret) {
		parts = append(parts, s.Text)
	}
	return strings.Join(parts, " | ")
}

// leak shows a credential as the arguments say.
func leak(ctx context.Context, run *nawasync.Run[leakyArgs], ownToken string) error {
	text := everySpelling(ownToken)
	run.Logf("sent %s", text)
	run.Progress(ctx, 1, 2, text)
	run.SetResult(map[string]any{"echo": text, text: []string{ownToken}})
	switch run.Args.How {
	case "error":
		return fmt.Errorf("the remote said %s", text)
	case "panic":
		panic(text)
	case "conflict":
		return nawasync.Conflict(text, nawasync.ConflictDetail{Base: text, Desired: map[string]string{ownToken: text}, Remote: []any{ownToken}, Author: text})
	case "skip":
		return nawasync.Skip(text)
	case "credentials":
		return fault.WithClass(fault.ClassCredentials, errors.New(text))
	}
	return nil
}

func TestCredentialsOfTheClientAreStoredAndShownNowhere(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h, ownToken := enginetest.New(t, db), newCredential()
		spans := tracetest.NewSpanRecorder()
		var mu sync.Mutex
		var events strings.Builder
		e := h.Engine(func(c *nawasync.Config) {
			c.Sealer, c.Secrets = enginetest.Keyring(t, enginetest.NewKey(t)), []nawasync.Secret{nawasync.NewSecret(" "), nawasync.NewSecret(ownToken + "\n")}
			c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			c.OnEvent = func(_ context.Context, event nawasync.Event) {
				text, err := json.Marshal(map[string]any{"job": event.Job, "scope": event.Scope})
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(&events, string(text), err)
			}
		})
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[leakyArgs]{Do: func(ctx context.Context, run *nawasync.Run[leakyArgs]) error {
			return leak(ctx, run, ownToken)
		}}))
		h.Start(e)
		for how, status := range map[string]tracker.Status{
			"": tracker.StatusSuccess, "error": tracker.StatusFailed, "panic": tracker.StatusFailed, "conflict": tracker.StatusConflict, "skip": tracker.StatusSkipped,
		} {
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, leakyArgs{ID: "a", How: how, Note: "with " + ownToken}).ID, status)
		}
		enginetest.Dispatch(t, e, leakyArgs{ID: "a", How: "credentials"})
		enginetest.Eventually(t, 20*time.Second, "the park", func() bool { return strings.Contains(h.Log.String(), "a scope is parked") })
		reason := everySpelling(ownToken)
		enginetest.NoError(t, e.Pause(t.Context(), "whm", "other", nawasync.PauseOptions{By: "user:7", Reason: reason}))
		_, err := e.Resume(t.Context(), "whm", "other", nawasync.OperatorOptions{By: "user:7", Reason: reason})
		enginetest.NoError(t, err)
		enginetest.NoError(t, e.Pause(t.Context(), "whm", "kept", nawasync.PauseOptions{By: "user:7", Reason: reason}))
		enginetest.NoError(t, e.Internals(host.NewKey()).AppendAudit(t.Context(), tracker.AuditEntry{Action: "x", Reason: reason, Detail: reason}))
		logger := e.Internals(host.NewKey()).Redacting(slog.New(slog.NewTextHandler(h.Log, nil)))
		logger.With("with", reason, "n", 1).WithGroup("group").Error(reason, "error", errors.New(reason), "any", []string{reason}, slog.Group("g", "text", reason))
		everything := enginetest.DumpDatabase(t, h)
		enginetest.RequireNoSecret(t, "the database, Redis or the log", everything, ownToken)
		for _, want := range []string{"the remote said ***", `with="***`, "sent ***", "\"with ***\"", "credentials: ***"} {
			if !strings.Contains(everything, want) {
				t.Errorf("the dump lacks %q, so the search for secrets proves nothing", want)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		enginetest.RequireNoSecret(t, "an event", events.String(), ownToken)
		enginetest.RequireNoSecret(t, "a span", spanTexts(spans), ownToken)
	})
}

// spanTexts returns everything that spans have recorded.
func spanTexts(spans *tracetest.SpanRecorder) string {
	var b strings.Builder
	for _, span := range spans.Ended() {
		fmt.Fprintln(&b, span.Name(), span.Attributes(), span.Status(), span.Events(), span.Links())
	}
	return b.String()
}

func TestShortCredentialsAreRefusedWithoutTheirValue(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	c := h.Config()
	for _, value := range []string{"a1b2c", "***"} {
		c.Secrets = []nawasync.Secret{nawasync.NewSecret("long enough"), nawasync.NewSecret(value)}
		if _, err := nawasync.New(c); err == nil || !strings.Contains(err.Error(), "Config.Secrets[1]") || strings.Contains(err.Error(), "a1b2c") {
			t.Errorf("error %v, want one that names the secret and not its value", err)
		}
	}
}

// echoArgs have a type that shows its Secret, and fields with the same text.
type echoArgs struct {
	ID      string
	Shown   shownSecret
	Note    string
	Words   map[string]string
	Raw     []byte
	Sealed  any
	Missing any `json:",omitempty"`
}

func (echoArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "account", Action: "echo"}
}
func (a echoArgs) Target() nawasync.Target { return nawasync.Target{ID: a.ID} }

// shownSecret marshals the value of its Secret.
type shownSecret struct{ Token nawasync.Secret }

func (s shownSecret) MarshalText() ([]byte, error) {
	return []byte("bearer:" + s.Token.Reveal()), nil
}

func (s *shownSecret) UnmarshalText(text []byte) error {
	s.Token = nawasync.NewSecret(strings.TrimPrefix(string(text), "bearer:"))
	return nil
}

// lostSecret marshals a Secret as fmt writes it.
type lostSecret struct{ Token nawasync.Secret }

func (l lostSecret) MarshalJSON() ([]byte, error) { return json.Marshal(l.Token.String()) }

func TestPayloadsShowNoSecretOfTheirJobInAnyField(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		const first, second = "sh0wn-secret-value", `any/s3cret"value`
		e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		got := make(chan echoArgs, 1)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[echoArgs]{Do: func(_ context.Context, run *nawasync.Run[echoArgs]) error {
			got <- run.Args
			return nawasync.Permanent(fmt.Errorf("refused %s and %v", run.Args.Shown.Token.Reveal(), run.Args.Sealed))
		}}))
		h.Start(e)
		args := echoArgs{
			ID: "a", Shown: shownSecret{nawasync.NewSecret(first)}, Note: "it is " + second, Words: map[string]string{first: second}, Raw: []byte("::" + first),
			Sealed: embeddedSecret{holder{nawasync.NewSecret(second)}},
		}
		job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, args).ID, tracker.StatusFailed)
		if run := <-got; run.Shown.Token.Reveal() != first || run.Note != args.Note || fmt.Sprint(run.Sealed) != "map[Any:"+second+"]" ||
			!bytes.Equal(run.Raw, args.Raw) {
			t.Errorf("the handler received %+v; want the arguments as they were dispatched", run)
		}
		if !strings.Contains(string(job.Payload), `"Note":"it is ***"`) || !strings.Contains(string(job.Payload), `{"***":"***"}`) {
			t.Errorf("the payload is %s; want the secrets masked in all fields", job.Payload)
		}
		enginetest.RequireNoSecret(t, "the database, Redis or the log", enginetest.DumpDatabase(t, h), first, second)
		args.Missing = lostSecret{nawasync.NewSecret(first)}
		if _, err := e.Dispatch(t.Context(), args, nawasync.Options{}); !errors.Is(err, nawasync.ErrInvalid) ||
			!strings.Contains(err.Error(), "echoArgs.Missing.Token") || strings.Contains(err.Error(), first) {
			t.Errorf("error %v; want one that names the field and not the value", err)
		}
	})
}

type holder struct{ Any any }

// embeddedSecret has a Secret in an embedded struct whose name is not exported.
type embeddedSecret struct{ holder }

func TestWithoutASealerNoSecretPassesInAForm(t *testing.T) {
	t.Parallel()
	h, ownToken := enginetest.New(t, testdb.SQLite(t)), newCredential()
	e := h.Engine(func(c *nawasync.Config) { c.Secrets = []nawasync.Secret{nawasync.NewSecret(ownToken)} })
	for _, args := range []nawasync.Args{
		echoArgs{ID: "a", Shown: shownSecret{nawasync.NewSecret("abc")}}, leakyArgs{ID: "a", Note: "x " + ownToken},
	} {
		if _, err := e.Dispatch(t.Context(), args, nawasync.Options{}); !errors.Is(err, nawasync.ErrNoSealer) {
			t.Errorf("%T: error %v, want ErrNoSealer", args, err)
		}
	}
	if job := enginetest.Dispatch(t, e, leakyArgs{ID: "a", Note: "<harmless>"}); !strings.Contains(string(job.Payload), `harmless`) {
		t.Errorf("the payload is %s", job.Payload)
	}
}

func TestTrackedTasksShowNoSecretOfTheirsInAnotherField(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		other := newCredential()
		e := h.Engine(func(c *nawasync.Config) {
			c.Sealer, c.Secrets = enginetest.Keyring(t, enginetest.NewKey(t)), []nawasync.Secret{nawasync.NewSecret(other)}
		})
		m := startMail(t, h, e, nawasync.TrackOptions{})
		const password = "tr4cked-password"
		m.do(func(context.Context, *asynq.Task) error {
			return fmt.Errorf("refused %s: %w", everySpelling(other)+password, asynq.SkipRetry)
		})
		payload, err := json.Marshal(map[string]string{"to": "ann", "password": password, "note": "it is " + password, "own": other})
		enginetest.NoError(t, err)
		_, err = m.client.Enqueue(asynq.NewTask("mail:deliver", payload), asynq.MaxRetry(0), asynq.Retention(0))
		enginetest.NoError(t, err)
		var job *tracker.Job
		enginetest.Eventually(t, 30*time.Second, "the end of the task", func() bool {
			found, err := e.Reader().Search(t.Context(), tracker.Search{Targets: []tracker.Target{{Service: "mail", Type: "message", ID: "ann"}}, Limit: 1})
			if err != nil || len(found.Jobs) == 0 || !found.Jobs[0].Status.Terminal() {
				return false
			}
			job, err = e.Reader().Get(t.Context(), found.Jobs[0].ID)
			return err == nil
		})
		if !strings.Contains(string(job.Payload), `"note":"it is ***"`) || !strings.Contains(string(job.Payload), `"own":"***"`) {
			t.Errorf("the payload is %s; want the password masked in all fields", job.Payload)
		}
		rows, err := json.Marshal(job)
		enginetest.NoError(t, err)
		enginetest.RequireNoSecret(t, "the job", string(rows), password, other)
	})
}
