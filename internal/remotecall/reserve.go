package remotecall

import (
	"context"
	"sync"
	"time"
)

// Link is what the engine uses of a Remote. All methods are safe for concurrent use.
type Link interface {
	// Reserve reserves the calls of jobs before they are claimed. The grants are in the order of the requests.
	Reserve(ctx context.Context, requests []Request) []Grant
	// Look tells whether a job of the request would get its calls now, and takes none. A Remote with Redis asks it, and
	// waits no longer than 0.1 s; it knows of no shortage if Redis does not answer.
	Look(ctx context.Context, request Request) (short Shortage, found bool)
	// Return gives back the calls of n jobs that a grant has reserved and that were not claimed.
	Return(ctx context.Context, request Request, grant Grant, n int)
	// ReturnRest gives back what a job that has ended did not use.
	ReturnRest(ctx context.Context, spender Spender, rest *Reserved)
	// Tick tells the other processes that this one lives, and reports what it has spent after a loss of
	// Redis. The engine calls it once a second with its id and those of all engines that live, or none if
	// the database does not tell them.
	Tick(ctx context.Context, engine string, live []string)
	// Leave says that this process makes no more calls. The engine calls it when it has stopped.
	Leave(ctx context.Context)
}

// Request asks for the calls of up to Jobs jobs, Calls for each.
type Request struct {
	Scope       string // the limit scope
	Spender     Spender
	Calls, Jobs int
}

// Shortage says why a job gets no calls.
type Shortage struct {
	Scope  string        // the limit scope
	Until  time.Time     // when there may be calls again
	Silent bool          // the server has asked for no calls until then; the rest is not set
	Calls  int           // of the budget
	Window time.Duration // of the budget
	Left   int           // too few, or kept for other work
}

// Grant is the answer to a Request.
type Grant struct {
	Jobs  int           // how many jobs may start
	Wait  time.Duration // when to ask again, if Jobs is 0
	Calls int           // reserved for each job
	At    []int64       // for each limit that counts the calls, the part of its window that has them
}

// Reserved are the calls that were reserved for a job when it was claimed. It is safe for concurrent use.
type Reserved struct {
	scope string
	at    []int64

	mu   sync.Mutex
	left int
}

// For returns what the grant has reserved for one job of the request.
func (g Grant) For(r Request) *Reserved { return &Reserved{scope: r.Scope, at: g.At, left: g.Calls} }

// Scope returns the limit scope.
func (r *Reserved) Scope() string { return r.scope }

// Take takes up to n calls of a limit scope. It returns how many there were, and where they are counted.
func (r *Reserved) Take(scope string, n int) (taken int, at []int64) {
	if r == nil || r.scope != scope {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	taken = min(n, r.left)
	r.left -= taken
	return taken, r.at
}

// PutBack takes back calls that were taken and not used.
func (r *Reserved) PutBack(n int) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
}

// SpenderOf returns who the calls of a context are made for. The default is People.
func SpenderOf(ctx context.Context) Spender {
	if job := From(ctx); job != nil {
		return job.Spender
	}
	return People
}

// WithoutReserved returns a context for a call of the job of ctx that all spenders need: it spends as People, and
// nothing that was reserved for the job.
func WithoutReserved(ctx context.Context) context.Context {
	job := From(ctx)
	if job == nil {
		return ctx
	}
	shared := *job
	shared.Spender, shared.Reserved = People, nil
	return context.WithValue(ctx, key{}, &shared)
}

// NoBudgetError says that a call was not made because the budget of its limit scope is used up. The job
// waits; the limit scope is not parked, because the other spenders may have budget.
type NoBudgetError struct {
	Scope string
	Wait  time.Duration
	Text  string
}

// Error returns the text.
func (e *NoBudgetError) Error() string { return e.Text }
