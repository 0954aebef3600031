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

// Kind identifies what a job does: the remote service, the type of object and the action.
type Kind struct{ Service, Type, Action string }

// String returns "service/type/action".
func (k Kind) String() string { return k.Service + "/" + k.Type + "/" + k.Action }

// Target identifies the remote object of a job. Jobs on one target run one at a time, in the
// order of their dispatch.
type Target struct {
	Instance string // the server or account; "" if the service has only one
	ID       string // the remote's name for the object; for a sync, the part of the listing, for example "all"
}

// Args are a job's arguments: a plain struct that encoding/json can marshal.
type Args interface {
	// Kind returns what the job does. It must return the same Kind for all values of the
	// type.
	Kind() Kind
	// Target returns the object that the job changes.
	Target() Target
}

// ArgsWithOptions are Args with options for the dispatch of their jobs. The options belong to
// the arguments and not to the handler, so that a process without handlers can dispatch.
type ArgsWithOptions interface {
	Args
	// Options returns the options of the job. Lane, MaxAttempts and UniqueKey may depend on
	// the fields of the arguments. Queue, MaskKeys, Calls and KindAliases must not, because Register
	// reads them from a zero value.
	Options() JobOptions
}

// JobOptions control how a job is dispatched. A zero field takes its default.
type JobOptions struct {
	// Queue is the queue in which the job waits. Default DefaultQueue.
	Queue string
	// Lane replaces the target as the job's lane. Jobs of one service with the same Lane run
	// one at a time, even if their targets differ. Default "", the lane of the target.
	Lane string
	// MaxAttempts is how many attempts the job may consume. Default DefaultAttempts.
	MaxAttempts int
	// MaskKeys are keys of the arguments to mask in addition to the keys that Mask always
	// masks. See secret.Mask for keys to show.
	MaskKeys []string
	// UniqueKey prevents duplicate jobs. While a job with the same kind, instance and key is
	// open, a further dispatch returns that job. "" allows duplicates.
	UniqueKey string
	// UniqueUntilRunning frees the key when the job starts and not when it ends, so that one more
	// job can wait while the first one runs. Syncs use UniqueUntilRunning.
	UniqueUntilRunning bool
	// Calls is how many calls of its remote an attempt of the job makes. So many are reserved before the job
	// starts, if Config.Remotes has a remote with a budget for the service. Default 1. An attempt may make
	// more calls; it takes them from the budget one at a time.
	Calls int
	// KindAliases are earlier kinds of these arguments. After a rename, the handler also runs
	// the jobs that were dispatched under an earlier kind.
	KindAliases []Kind
}

// The defaults of JobOptions and Handler.
const (
	DefaultQueue    = "default"
	DefaultAttempts = 3
	DefaultTimeout  = 300 * time.Second
)

// Handler runs the jobs of one kind. Embed AbstractJob and write Execute. It must
// be safe for concurrent use.
type Handler[A Args] interface {
	// Execute does the job. Its error decides the outcome: nil is success; see Skip,
	// Conflict, Permanent, RetryAfter, and fault.WithClass. Execute should return soon after
	// ctx ends. context.Cause(ctx) is the reason: ErrTimeout, ErrStopping, ErrCancelled or
	// ErrLeaseLost.
	Execute(ctx context.Context, run *Run[A]) error
	// Timeout returns how long one attempt may take. 0 or less means DefaultTimeout.
	Timeout() time.Duration
	// Backoff returns how long to wait after the given attempt failed. The first attempt is
	// 1.
	Backoff(attempt int) time.Duration
}

// AbstractJob gives a Handler its defaults: a timeout of 300 s, and a backoff of 10, 30 and
// 60 s with jitter. Embed it and override the methods that differ. The zero value is ready to
// use.
type AbstractJob[A Args] struct{}

// Timeout returns DefaultTimeout.
func (AbstractJob[A]) Timeout() time.Duration { return DefaultTimeout }

// Backoff returns 10 s, 30 s and then 60 s, varied at random by up to 20 %, so that jobs that
// failed at the same time are not retried at the same time.
func (AbstractJob[A]) Backoff(attempt int) time.Duration {
	steps := []time.Duration{10 * time.Second, 30 * time.Second, 60 * time.Second}
	d := steps[min(max(attempt, 1), len(steps))-1]
	return d*4/5 + rand.N(d*2/5)
}

// jobOptionsOf returns the options of the arguments, with defaults for Queue and MaxAttempts.
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

// describeKind returns the kind and options of a zero value. It returns an error if Kind or
// Options panics, for example because it dereferences a nil field.
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

// registration is a registered Handler without its type parameter.
type registration struct {
	kind           Kind
	aliases        []Kind
	queue          string
	calls          int  // of the remote, for one attempt
	syncs          bool // the calls are those of a sync
	containsSecret bool // the arguments need a Sealer
	timeout        func() time.Duration
	backoff        func(attempt int) time.Duration
	maskKeys       []string // JobOptions.MaskKeys
	// decode decodes the arguments. It returns the values of their Secrets, and a function
	// that runs the handler with the arguments.
	decode func(plain []byte) (secrets []string, execute func(ctx context.Context, a *attempt) error, err error)
	// arguments decodes the arguments into their Go type. It is nil for the jobs of repositories.
	arguments func(plain []byte) (Args, error)
}

// ErrStarted is returned when a handler or schedule is registered after Start.
var ErrStarted = errors.New("the engine has been started; register handlers and schedules before Start")

// ErrRegistered is returned for a kind that already has a handler, and for a repository whose
// service and type are already registered.
var ErrRegistered = errors.New("already registered in this process")

// Register makes the engine run the jobs of A's kind and its aliases with the handler. It
// returns ErrStarted after Start, ErrInvalid for an invalid kind, ErrRegistered for a kind that
// already has a handler, ErrNoQueue for a queue that is not in Config.Queues, and ErrNoSealer
// for arguments with a Secret when there is no Sealer.
func Register[A Args](e *Engine, h Handler[A]) error {
	var zero A
	kind, options, err := describeKind(zero)
	if err != nil {
		return err
	}
	r := &registration{
		kind: kind, aliases: options.KindAliases, queue: options.Queue, calls: options.Calls,
		containsSecret: secret.Contains(reflect.TypeFor[A]()), timeout: timeoutOf(h),
		backoff: backoffOf(h), maskKeys: options.MaskKeys,
	}
	r.decode = func(plain []byte) ([]string, func(context.Context, *attempt) error, error) {
		var args A
		if err := json.Unmarshal(plain, &args); err != nil {
			return nil, nil, fmt.Errorf("decode the arguments into %T: %w", args, err)
		}
		return e.secrets.Values(args), func(ctx context.Context, a *attempt) error {
			return h.Execute(ctx, &Run[A]{Args: args, attempt: a})
		}, nil
	}
	r.arguments = func(plain []byte) (Args, error) {
		var args A
		err := json.Unmarshal(plain, &args)
		return args, err
	}
	return e.register([]*registration{r})
}

// register adds all of the registrations. If it returns an error, it has added none. One error
// names all queues that are not in Config.Queues.
func (e *Engine) register(regs []*registration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return ErrStarted
	}
	handlers := maps.Clone(e.handlers)
	var missing []string
	for _, r := range regs {
		if _, ok := e.config.Queues[r.queue]; !ok && !slices.Contains(missing, r.queue) {
			missing = append(missing, r.queue)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("register %s: %w: %q", regs[0].kind, ErrNoQueue, missing)
	}
	for _, r := range regs {
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

// timeoutOf returns a function that calls h.Timeout. The function returns DefaultTimeout if
// h.Timeout panics or returns 0 or less.
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

// backoffOf returns a function that calls h.Backoff. The function returns the default backoff if
// h.Backoff panics.
func backoffOf[A Args](h Handler[A]) func(int) time.Duration { return safeBackoff(h.Backoff) }

// safeBackoff returns a function that calls backoff. The function returns the default backoff if backoff is nil or
// panics.
func safeBackoff(backoff func(int) time.Duration) func(int) time.Duration {
	return func(attempt int) (d time.Duration) {
		defer func() {
			if recover() != nil {
				d = AbstractJob[Args]{}.Backoff(attempt)
			}
		}()
		return backoff(attempt)
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
