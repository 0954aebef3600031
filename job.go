package nawasync

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
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

// Args are a job's arguments: a plain struct that encoding/json marshals. Kind
// must not depend on the fields. The optional interfaces below are for what a
// dispatcher must know, so that a process without handlers can dispatch.
type Args interface {
	Kind() Kind
	Target() Target
}

// WithQueue puts the jobs of a kind into a queue; without it they go to
// DefaultQueue.
type WithQueue interface{ Queue() string }

// WithLane names a coarser lane: jobs of one service with equal lanes run one at
// a time, whatever their targets.
type WithLane interface{ Lane() string }

// WithAttempts sets how many attempts a job may burn; without it DefaultAttempts.
type WithAttempts interface{ MaxAttempts() int }

// WithMaskKeys adds keys to those that Mask hides.
type WithMaskKeys interface{ MaskKeys() []string }

// WithUnique coalesces dispatches: while a job of the same kind, instance and key
// is open, a further dispatch returns it.
type WithUnique interface{ Unique() Unique }

// WithKindAliases names former kinds of these arguments, whose rows are still to
// be run after a rename.
type WithKindAliases interface{ KindAliases() []Kind }

// Unique is what makes two dispatches the same. The zero value is not unique.
type Unique struct {
	Key string
	// UntilRunning frees the key when the job starts, so that one successor may wait
	// while it runs: what a sync wants. Otherwise the key is freed when it ends.
	UntilRunning bool
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
	// Conflict, Permanent, RetryAfter and Class. It should heed ctx: when it ends,
	// context.Cause tells why (ErrTimeout, ErrStopping, ErrCancelled, ErrLeaseLost).
	Execute(ctx context.Context, run *Run[A]) error
	// Timeout is how long one attempt may take; 0 or less is DefaultTimeout.
	Timeout() time.Duration
	// Backoff is how long to wait after the given burned attempt (1 is the first).
	Backoff(attempt int) time.Duration
}

// AbstractJob gives a Handler its defaults: it is wrapped into the asynq handler
// with the row's lifecycle, masking, a timeout of 300 s and a backoff of 10, 30
// and 60 s with jitter. Override what differs. The zero value is ready to use.
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

// policy is what the arguments say of their dispatch.
type policy struct {
	queue    string
	lane     string
	attempts int
	maskKeys []string
	unique   Unique
}

func policyOf(args Args) policy {
	p := policy{queue: DefaultQueue, attempts: DefaultAttempts}
	if a, ok := args.(WithQueue); ok && a.Queue() != "" {
		p.queue = a.Queue()
	}
	if a, ok := args.(WithLane); ok {
		p.lane = a.Lane()
	}
	if a, ok := args.(WithAttempts); ok && a.MaxAttempts() > 0 {
		p.attempts = a.MaxAttempts()
	}
	if a, ok := args.(WithMaskKeys); ok {
		p.maskKeys = a.MaskKeys()
	}
	if a, ok := args.(WithUnique); ok {
		p.unique = a.Unique()
	}
	return p
}

// description is what a kind says of itself, whatever its arguments hold.
type description struct {
	kind     Kind
	aliases  []Kind
	queue    string
	maskKeys []string
}

// describe asks a zero value; a method that needs a field may panic.
func describe(args Args) (d description, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("nawasync: %T panicked on a zero value: %v; its Kind, KindAliases, Queue and MaskKeys must not depend on its fields", args, r)
		}
	}()
	d = description{kind: args.Kind(), queue: DefaultQueue}
	if a, ok := args.(WithQueue); ok && a.Queue() != "" {
		d.queue = a.Queue()
	}
	if a, ok := args.(WithMaskKeys); ok {
		d.maskKeys = a.MaskKeys()
	}
	if a, ok := args.(WithKindAliases); ok {
		d.aliases = a.KindAliases()
	}
	return d, validateKind(d.kind)
}
