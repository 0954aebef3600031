package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// registration is a Handler without its type parameter.
type registration struct {
	kind        Kind
	aliases     []Kind
	queue       string
	holdsSecret bool // the arguments need a Sealer
	timeout     func() time.Duration
	backoff     func(attempt int) time.Duration
	mask        []string // its own keys
	// prepare decodes the arguments, and returns the values of their Secrets and
	// what runs them.
	prepare func(plain []byte) (secrets []string, execute func(ctx context.Context, a *attempt) error, err error)
}

// ErrStarted says that the engine runs: handlers and schedules are registered
// before Start.
var ErrStarted = errors.New("nawasync: the engine has been started; register handlers and schedules before Start")

// ErrRegistered says that a kind has a handler already.
var ErrRegistered = errors.New("nawasync: the kind is registered already")

// Register makes the engine serve the kind of A, and its aliases, with the
// handler. It returns an error for a kind that is registered or not valid, a
// queue that Config.Queues lacks, and arguments with a Secret when there is no
// Sealer (ErrNoSealer).
func Register[A Args](e *Engine, h Handler[A]) error {
	var zero A
	d, err := describe(zero)
	if err != nil {
		return err
	}
	r := &registration{kind: d.kind, aliases: d.aliases, queue: d.queue, holdsSecret: secret.Holds(reflect.TypeFor[A]()), timeout: timeoutOf(h), backoff: backoffOf(h), mask: d.maskKeys}
	r.prepare = func(plain []byte) ([]string, func(context.Context, *attempt) error, error) {
		var args A
		if err := json.Unmarshal(plain, &args); err != nil {
			return nil, nil, fmt.Errorf("nawasync: the arguments do not decode into %T: %w", args, err)
		}
		_, secrets, err := e.secrets.Reveal(args)
		if err != nil {
			return nil, nil, err
		}
		return secrets, func(ctx context.Context, a *attempt) error {
			return h.Execute(ctx, &Run[A]{Args: args, attempt: a})
		}, nil
	}
	return e.register([]*registration{r})
}

// register registers all of a list or, with an error, none.
func (e *Engine) register(list []*registration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return ErrStarted
	}
	handlers := maps.Clone(e.handlers)
	for _, r := range list {
		if e.config.Sealer == nil && r.holdsSecret {
			return fmt.Errorf("register %s: %w", r.kind, ErrNoSealer)
		}
		if _, ok := e.config.Queues[r.queue]; !ok {
			return fmt.Errorf("register %s: %w: %q", r.kind, ErrNoQueue, r.queue)
		}
		for _, k := range append([]Kind{r.kind}, r.aliases...) {
			if handlers[k] != nil {
				return fmt.Errorf("register %s: %w: %s", r.kind, ErrRegistered, k)
			}
			handlers[k] = r
		}
	}
	e.handlers = handlers
	return nil
}

// timeoutOf asks the handler; one that panics or says nothing has the default.
func timeoutOf[A Args](h Handler[A]) func() time.Duration {
	return func() (d time.Duration) {
		defer func() {
			if recover() != nil || d <= 0 {
				d = DefaultTimeout
			}
		}()
		return h.Timeout()
	}
}

// backoffOf is timeoutOf for Backoff.
func backoffOf[A Args](h Handler[A]) func(int) time.Duration {
	return func(attempt int) (d time.Duration) {
		defer func() {
			if recover() != nil {
				d = AbstractJob[A]{}.Backoff(attempt)
			}
		}()
		return h.Backoff(attempt)
	}
}

func (e *Engine) registered(j *jobstore.Job) *registration {
	return e.handlers[Kind{j.Service, j.Type, j.Action}]
}

func (e *Engine) kinds() []string {
	var list []string
	for k := range e.handlers {
		list = append(list, k.String())
	}
	slices.Sort(list)
	return list
}
