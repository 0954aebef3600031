package nawasync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nawasara/nawasync/internal/jobstore"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// Options of one dispatch. The zero value is ready to use.
type Options struct {
	// By is who asked for it, for instance "user:7"; up to 255 bytes.
	By string
	// Source is what asked for it. Default SourceManual.
	Source Source
	// Delay is after what time the job is due; 0 is now. It blocks nobody's lane
	// until then. At is the same as a time; give one of them.
	Delay time.Duration
	At    time.Time
	// Action names what a repository's Update does, one of Actions.Update. Default
	// the first of them; other dispatches do not use it.
	Action string
}

// Source is what asked for a job.
type Source string

// The sources of a job.
const (
	SourceManual    Source = "manual"
	SourceScheduled Source = "scheduled"
	SourceEvent     Source = "event"
	SourceAPI       Source = "api"
	SourceRetry     Source = "retry"
)

// MaxArguments is how large a job's arguments may be as JSON, in bytes.
const MaxArguments = 1 << 20

// The errors of Dispatch that a caller can act on.
var (
	ErrInvalid = errors.New("nawasync: not a valid job")
	// ErrNoSealer says that arguments hold secrets and the engine has no Sealer.
	ErrNoSealer    = errors.New("nawasync: the arguments hold secrets and Config.Sealer is nil; set one, for instance secret.NewKeyring")
	ErrBacklogFull = errors.New("nawasync: the service has too many open jobs")
	// ErrDatabaseBusy says that SQLite's one writer is taken.
	ErrDatabaseBusy = jobstore.ErrBusy
)

// Dispatch adds a job in a transaction of its own and rings for it. It returns the
// row, or, for arguments that are unique, the open row that was there already
// (Coalesced). It is safe for concurrent use, and before Start.
func (e *Engine) Dispatch(ctx context.Context, args Args, o Options) (*tracker.Job, error) {
	jobs, err := e.DispatchMany(ctx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// DispatchTx adds a job in the caller's transaction: if that rolls back, the job
// never was. In a transaction of Engine.Transaction it is rung right after the
// commit, in any other the relay finds it, as a rule within 100 ms.
func (e *Engine) DispatchTx(ctx context.Context, tx *gorm.DB, args Args, o Options) (*tracker.Job, error) {
	jobs, err := e.DispatchManyTx(ctx, tx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// DispatchMany is Dispatch of many jobs in one transaction: all are added or none.
func (e *Engine) DispatchMany(ctx context.Context, args []Args, o Options) ([]*tracker.Job, error) {
	ctx, span := e.telemetry.dispatch(ctx)
	defer span.End()
	jobs, err := e.newJobs(ctx, nil, args, o)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if err := e.store.InsertOwn(ctx, jobs, e.rings()); err != nil {
		return nil, e.busyHint(err)
	}
	e.telemetry.dispatched(ctx, span, jobs)
	e.ringSoon(ctx, jobstore.Bells(jobs))
	return publicJobs(jobs), nil
}

// DispatchManyTx is DispatchTx of many jobs.
func (e *Engine) DispatchManyTx(ctx context.Context, tx *gorm.DB, args []Args, o Options) ([]*tracker.Job, error) {
	ctx, span := e.telemetry.dispatch(ctx)
	defer span.End()
	jobs, err := e.newJobs(ctx, tx, args, o)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if err := e.insertTx(ctx, tx, jobs); err != nil {
		return nil, err
	}
	e.telemetry.dispatched(ctx, span, jobs)
	return publicJobs(jobs), nil
}

func publicJobs(jobs []*jobstore.Job) []*tracker.Job {
	list := make([]*tracker.Job, len(jobs))
	for i, job := range jobs {
		list[i] = &job.Job
	}
	return list
}

// insertTx adds jobs in tx, and has them rung after the commit of a transaction of
// ours.
func (e *Engine) insertTx(ctx context.Context, tx *gorm.DB, jobs []*jobstore.Job) error {
	after := afterCommitOf(tx)
	rings := 0
	if after != nil {
		rings = e.rings()
	}
	if err := e.store.Insert(ctx, tx, jobs, rings); err != nil {
		return e.busyHint(err)
	}
	if after != nil {
		after.add(jobstore.Bells(jobs))
	}
	return nil
}

// rings is how many jobs of one dispatch may be rung by it. What goes beyond, more
// than Redis should hold, is left to the relay.
func (e *Engine) rings() int {
	if e.bells == nil {
		return 0
	}
	return e.tuning.RungCap
}

// maxRinging is how many dispatches may ring in the background at once.
const maxRinging = 32

// ringSoon rings for a job or two without keeping the caller waiting: the jobs
// stand, and a ring that gets lost is found by the relay. When many are on their
// way already the caller waits, so that Redis sets the pace.
func (e *Engine) ringSoon(ctx context.Context, bells []jobstore.Bell) {
	if len(bells) == 0 || e.bells == nil {
		return
	}
	if len(bells) <= 2 {
		select {
		case e.ringing <- struct{}{}:
			go func() {
				defer func() { <-e.ringing }()
				e.ring(ctx, bells)
			}()
			return
		default:
		}
	}
	e.ring(ctx, bells)
}

// quiet waits until no dispatch rings in the background, and has later ones ring
// themselves.
func (e *Engine) quiet(ctx context.Context) {
	for range maxRinging {
		select {
		case e.ringing <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

func (e *Engine) ring(ctx context.Context, bells []jobstore.Bell) {
	if len(bells) == 0 || e.bells == nil {
		return
	}
	// The jobs stand: a caller that gives up now must not keep them from running.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	missed, err := e.bells.Ring(ctx, bells)
	if err == nil {
		return
	}
	e.logger.Warn("nawasync: jobs could not be put into Redis; the relay will ring for them", "jobs", len(missed), "error", err)
	if err := e.store.Unring(ctx, missed); err != nil {
		e.logger.Debug("nawasync: rings got lost and will be found by the relay", "jobs", len(missed), "error", err)
	}
}

func (e *Engine) newJobs(ctx context.Context, tx *gorm.DB, args []Args, o Options) ([]*jobstore.Job, error) {
	jobs := make([]*jobstore.Job, len(args))
	services := map[string]int{}
	trace := traceparent(ctx)
	for i, a := range args {
		job, err := e.newJob(a, o)
		if err != nil {
			return nil, err
		}
		job.Trace = trace
		jobs[i] = job
		services[job.Service]++
	}
	for service, n := range services {
		if err := e.backlog.admit(ctx, tx, service, n); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// newJob makes a row of arguments, or says what is wrong with them.
func (e *Engine) newJob(args Args, o Options) (*jobstore.Job, error) {
	if args == nil {
		return nil, fmt.Errorf("%w: no arguments", ErrInvalid)
	}
	kind, target := args.Kind(), args.Target()
	if err := errors.Join(validateKind(kind), validateTarget(target), o.validate()); err != nil {
		return nil, err
	}
	p := policyOf(args)
	if err := validateText("queue", p.queue, 1, 50); err != nil {
		return nil, err
	}
	if strings.ContainsAny(p.queue, "{}") {
		return nil, fmt.Errorf("%w: a queue's name may not contain braces: %q", ErrInvalid, p.queue)
	}
	job := &jobstore.Job{Job: tracker.Job{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Instance: target.Instance, TargetID: target.ID,
		Queue: p.queue, MaxAttempts: p.attempts, TriggeredBy: o.By, TriggerSource: string(o.Source),
	}}
	job.TargetKey = jobrow.TargetKey(kind.Service, kind.Type, target.Instance, target.ID)
	if job.TriggerSource == "" {
		job.TriggerSource = string(SourceManual)
	}
	job.Lane = job.TargetKey
	if p.lane != "" {
		job.Lane = jobrow.NamedLane(kind.Service, p.lane)
	}
	if p.unique.Key != "" {
		sum := sha256.Sum256([]byte(strings.Join([]string{kind.String(), target.Instance, p.unique.Key}, "\x00")))
		job.ActiveKey = jobstore.UniqueKey(hex.EncodeToString(sum[:16]), p.unique.UntilRunning)
	}
	switch {
	case !o.At.IsZero():
		job.NotBefore = o.At
	case o.Delay > 0:
		job.NotBefore = e.store.Now().Add(o.Delay)
	}
	return job, e.pack(job, args, p.maskKeys)
}

// pack puts the arguments into the row: masked for people, and sealed for the
// worker where there is something to hide or a Sealer.
func (e *Engine) pack(job *jobstore.Job, args Args, maskKeys []string) error {
	plain, _, err := e.secrets.Reveal(args)
	if err != nil {
		return fmt.Errorf("%w: the arguments of %T do not marshal: %w", ErrInvalid, args, err)
	}
	if len(plain) > MaxArguments {
		return fmt.Errorf("%w: the arguments of %T are %d bytes of JSON, over the limit of %d; store large data elsewhere and pass its name", ErrInvalid, args, len(plain), MaxArguments)
	}
	if err := validateJSON(plain); err != nil {
		return fmt.Errorf("%w: the arguments of %T %w", ErrInvalid, args, err)
	}
	shown := plain
	if e.secrets.MayHold(reflect.TypeOf(args)) {
		if shown, err = json.Marshal(args); err != nil { // Secrets are masked by their type here
			return fmt.Errorf("%w: the arguments of %T do not marshal: %w", ErrInvalid, args, err)
		}
	}
	job.Payload = Mask(shown, maskKeys...)
	if e.config.Sealer != nil {
		job.Sealed, err = secret.Seal(e.config.Sealer, binding(job), plain)
		return err
	}
	// Without a Sealer the shown payload must be the arguments.
	same, err := secret.SameJSON(job.Payload, plain)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("dispatch %s/%s/%s: %w", job.Service, job.Type, job.Action, ErrNoSealer)
	}
	job.Payload = plain
	return nil
}

func (o Options) validate() error {
	if err := validateText("Options.By", o.By, 0, 255); err != nil {
		return err
	}
	if err := validateText("Options.Source", string(o.Source), 0, 20); err != nil {
		return err
	}
	if o.Delay < 0 {
		return fmt.Errorf("%w: Options.Delay is negative (%s)", ErrInvalid, o.Delay)
	}
	if o.Delay > 0 && !o.At.IsZero() {
		return fmt.Errorf("%w: give Options.Delay or Options.At, not both", ErrInvalid)
	}
	return nil
}

var kindName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func validateKind(k Kind) error {
	for _, part := range []struct{ name, value string }{{"service", k.Service}, {"type", k.Type}, {"action", k.Action}} {
		if err := validateText("Kind's "+part.name, part.value, 1, 50); err != nil {
			return err
		}
		if !kindName.MatchString(part.value) {
			return fmt.Errorf("%w: Kind's %s %q may hold letters, digits, \"_\", \".\" and \"-\" only", ErrInvalid, part.name, part.value)
		}
	}
	return nil
}

func validateTarget(t Target) error {
	return errors.Join(validateText("Target.Instance", t.Instance, 0, 64), validateText("Target.ID", t.ID, 1, 255))
}

// validateText keeps out what one of the databases would refuse or take for
// something else: MySQL ignores trailing spaces when it compares.
func validateText(name, value string, least, most int) error {
	switch {
	case len(value) < least:
		return fmt.Errorf("%w: %s is empty", ErrInvalid, name)
	case len(value) > most:
		return fmt.Errorf("%w: %s has %d bytes, over the limit of %d", ErrInvalid, name, len(value), most)
	case !utf8.ValidString(value):
		return fmt.Errorf("%w: %s is not valid UTF-8", ErrInvalid, name)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("%w: %s contains a NUL", ErrInvalid, name)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("%w: %s begins or ends with a space", ErrInvalid, name)
	}
	return nil
}

// validateJSON finds what encoding/json has quietly replaced. It writes the
// escape \ufffd for a byte that is not UTF-8, and a real U+FFFD as itself.
func validateJSON(data []byte) error {
	if !utf8.Valid(data) { // a MarshalJSON of the host's own may write anything
		return errors.New("contain text that is not valid UTF-8")
	}
	for i := 0; i+5 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		switch string(data[i : i+6]) {
		case `\ufffd`:
			return errors.New("contain text that is not valid UTF-8")
		case `\u0000`:
			return errors.New("contain a NUL")
		}
		i++ // what is escaped is no escape itself
	}
	return nil
}

// busyHint names DispatchTx where SQLite's lock says that its caller holds it.
func (e *Engine) busyHint(err error) error {
	if e.config.DB.Name() != "sqlite" || errors.Is(err, ErrDatabaseBusy) {
		return err
	}
	if text := err.Error(); strings.Contains(text, "locked") || strings.Contains(text, "SQLITE_BUSY") {
		return fmt.Errorf("%w (%w)", ErrDatabaseBusy, err)
	}
	return err
}
