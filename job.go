package nawasync

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// Kind names what a job does: the remote service, the type of object, the action.
type Kind struct{ Service, Type, Action string }

// String is service/type/action.
func (k Kind) String() string { return k.Service + "/" + k.Type + "/" + k.Action }

// Target names the object of a job at the remote. Jobs on one target run one at a
// time, in the order of their dispatch.
type Target struct {
	Instance string // which server or account; "" where the service has only one
	ID       string // what the remote knows the object by; for a sync, what it covers, for instance "all"
}

// Args are a job's arguments: a plain struct that encoding/json marshals. Kind must not
// depend on the fields.
type Args interface {
	// Kind names what the job does; the same for all values of the type.
	Kind() Kind
	// Target is the object that the job changes.
	Target() Target
}

// ArgsWithOptions are Args that say how their jobs are dispatched. They say it, and not
// the handler, so that a process without handlers can dispatch.
type ArgsWithOptions interface {
	Args
	// Options may use the fields for Lane, MaxAttempts and UniqueKey. Register calls it on
	// a zero value, for what must not depend on fields: Queue, MaskKeys and KindAliases.
	Options() JobOptions
}

// JobOptions say how the jobs of some arguments are dispatched. The zero value takes the
// defaults.
type JobOptions struct {
	// Queue is where the jobs wait. Default DefaultQueue.
	Queue string
	// Lane is a coarser lane than the target: jobs of one service with equal lanes run one
	// at a time, whatever their targets. "" is the target's.
	Lane string
	// MaxAttempts is how many attempts a job may consume. Default DefaultAttempts.
	MaxAttempts int
	// MaskKeys are keys of the arguments that are masked besides those that Mask knows.
	MaskKeys []string
	// UniqueKey coalesces dispatches: while a job of the same kind, instance and key is
	// open, a further dispatch returns it. "" is not unique.
	UniqueKey string
	// UniqueUntilRunning frees the key when the job starts, so that one successor may wait
	// while it runs: what a sync wants. Otherwise the key is freed when the job ends.
	UniqueUntilRunning bool
	// KindAliases are former kinds of these arguments, whose rows are still to be run after
	// a rename.
	KindAliases []Kind
}

// The defaults of a kind.
const (
	DefaultQueue    = "default"
	DefaultAttempts = 3
	DefaultTimeout  = 300 * time.Second
)

// Handler runs the jobs of one kind. Embed AbstractJob and write Execute. It must
// be safe for concurrent use.
type Handler[A Args] interface {
	// Execute does the job. Its error decides the outcome: nil is success; see Skip,
	// Conflict, Permanent, RetryAfter, and fault.WithClass. It should heed ctx: when it ends,
	// context.Cause tells why (ErrTimeout, ErrStopping, ErrCancelled, ErrLeaseLost).
	Execute(ctx context.Context, run *Run[A]) error
	// Timeout is how long one attempt may take; 0 or less is DefaultTimeout.
	Timeout() time.Duration
	// Backoff is how long to wait after the given consumed attempt (1 is the first).
	Backoff(attempt int) time.Duration
}

// AbstractJob gives a Handler its defaults: a timeout of 300 s and a backoff of 10, 30 and
// 60 s with jitter. Override what differs. The engine wraps the handler with the rest: the
// job's row, its lease, masking, panics. The zero value is ready to use.
type AbstractJob[A Args] struct{}

// Timeout is DefaultTimeout.
func (AbstractJob[A]) Timeout() time.Duration { return DefaultTimeout }

// Backoff is 10, 30 and then 60 s, less or more by up to a fifth, so that jobs
// that failed together do not come back together.
func (AbstractJob[A]) Backoff(attempt int) time.Duration {
	steps := []time.Duration{10 * time.Second, 30 * time.Second, 60 * time.Second}
	d := steps[min(max(attempt, 1), len(steps))-1]
	return d*4/5 + rand.N(d*2/5)
}

// jobOptionsOf are the options of some arguments, with the defaults.
func jobOptionsOf(args Args) JobOptions {
	var o JobOptions
	if a, ok := args.(ArgsWithOptions); ok {
		o = a.Options()
	}
	o.Queue = cmp.Or(o.Queue, DefaultQueue)
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = DefaultAttempts
	}
	return o
}

// describeKind asks a zero value for its kind and options; a method that needs a field may
// panic.
func describeKind(args Args) (kind Kind, o JobOptions, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%T panicked on a zero value: %v; its Kind must not depend on its fields, and its Options must work without them", args, r)
		}
	}()
	kind, o = args.Kind(), jobOptionsOf(args)
	for _, k := range append([]Kind{kind}, o.KindAliases...) {
		if err := validateKind(k); err != nil {
			return kind, o, fmt.Errorf("%T: %w", args, err)
		}
	}
	return kind, o, nil
}

// registration is a Handler without its type parameter.
type registration struct {
	kind           Kind
	aliases        []Kind
	queue          string
	containsSecret bool // the arguments need a Sealer
	timeout        func() time.Duration
	backoff        func(attempt int) time.Duration
	maskKeys       []string // its own keys
	// decode decodes the arguments, and returns the values of their Secrets and
	// what runs them.
	decode func(plain []byte) (secrets []string, execute func(ctx context.Context, a *attempt) error, err error)
}

// ErrStarted says that the engine runs: handlers and schedules are registered
// before Start.
var ErrStarted = errors.New("the engine has been started; register handlers and schedules before Start")

// ErrRegistered says that a kind has a handler already.
var ErrRegistered = errors.New("the kind is registered already")

// Register makes the engine serve the kind of A, and its aliases, with the
// handler. It returns an error for a kind that is registered or not valid, a
// queue that Config.Queues lacks, and arguments with a Secret when there is no
// Sealer (ErrNoSealer).
func Register[A Args](e *Engine, h Handler[A]) error {
	var zero A
	kind, options, err := describeKind(zero)
	if err != nil {
		return err
	}
	r := &registration{
		kind: kind, aliases: options.KindAliases, queue: options.Queue, containsSecret: secret.Contains(reflect.TypeFor[A]()), timeout: timeoutOf(h),
		backoff: backoffOf(h), maskKeys: options.MaskKeys,
	}
	r.decode = func(plain []byte) ([]string, func(context.Context, *attempt) error, error) {
		var args A
		if err := json.Unmarshal(plain, &args); err != nil {
			return nil, nil, fmt.Errorf("the arguments do not decode into %T: %w", args, err)
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

// register registers all of a list or, with an error, none. Queues that Config.Queues lacks
// are one error.
func (e *Engine) register(list []*registration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return ErrStarted
	}
	handlers := maps.Clone(e.handlers)
	var missing []string
	for _, r := range list {
		if _, ok := e.config.Queues[r.queue]; !ok && !slices.Contains(missing, r.queue) {
			missing = append(missing, r.queue)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("register %s: %w: %q", list[0].kind, ErrNoQueue, missing)
	}
	for _, r := range list {
		if e.config.Sealer == nil && r.containsSecret {
			return fmt.Errorf("register %s: %w", r.kind, ErrNoSealer)
		}
		for _, k := range append([]Kind{r.kind}, r.aliases...) {
			if handlers[k] != nil && handlers[k] != r {
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

func (e *Engine) registrationOf(j *jobstore.Job) *registration {
	return e.handlers[Kind{j.Service, j.Type, j.Action}]
}

func (e *Engine) registeredKinds() []string {
	var list []string
	for k := range e.handlers {
		list = append(list, k.String())
	}
	slices.Sort(list)
	return list
}
