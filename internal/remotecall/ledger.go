package remotecall

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/internal/logbucket"
)

// Other is the template of the endpoints that have none, and of those beyond the first MaxTemplates.
const Other = "other"

// UnknownMethod stands for the methods that HTTP does not have, as OpenTelemetry names them.
const UnknownMethod = "_OTHER"

// MaxTemplates is how many templates of a service are counted by themselves.
const MaxTemplates = 200

const (
	maxTemplate   = 200  // bytes
	maxClasses    = 16   // of errors, of one endpoint and minute
	maxSums       = 5000 // that wait for Take
	minute        = int64(time.Minute / time.Microsecond)
	overflowClass = "error"
)

// Endpoint is what calls are counted by.
type Endpoint struct{ Scope, Budget, Method, Template string }

// Sum adds up the calls of one endpoint that ended in one minute.
type Sum struct {
	Endpoint
	Minute      int64 // its start, in microseconds
	Calls       int64
	Errors      map[string]int64 // by class
	Durations   map[int]int64    // by bucket; see package logbucket
	Total       time.Duration    // of all durations
	First, Last int64            // when the first and the last call ended, in microseconds
	Left        int64            // what the server said last, or -1
	LeftAt      int64            // when it said so, in microseconds; 0 if it did not
	Reset       int64            // when the quota is full again, in microseconds; 0 if unknown
}

// Ledger adds up the calls of one service until the engine takes the sums. It is safe for concurrent use.
type Ledger struct {
	service  string
	redact   func(text string, limit int) string
	observer atomic.Pointer[func(context.Context, Call)]

	mu        sync.Mutex
	templates map[string]string // as the client gives them, and as they are stored
	sums      map[sumKey]*Sum
}

type sumKey struct {
	Endpoint
	minute int64
}

// NewLedger returns an empty ledger. redact removes secrets from a template and cuts
// it at limit bytes.
func NewLedger(service string, redact func(text string, limit int) string) *Ledger {
	return &Ledger{service: service, redact: redact, templates: map[string]string{}, sums: map[sumKey]*Sum{}}
}

// Observe sets a function that is called for each call. Nil is no call.
func (l *Ledger) Observe(fn func(context.Context, Call)) { l.observer.Store(&fn) }

// Names returns the method and the template under which a call is counted.
func (l *Ledger) Names(method, template string) (known, bounded string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return knownMethod(method), l.template(template)
}

// Add counts a call. It returns the call as it is stored: with the service, a known method and a bounded
// template without a query string.
func (l *Ledger) Add(ctx context.Context, call Call) Call {
	call.Service, call.Method = l.service, knownMethod(call.Method)
	call.Duration = max(0, call.Duration)
	l.mu.Lock()
	call.Template = l.template(call.Template)
	l.sum(&call).add(&call)
	l.mu.Unlock()
	if fn := l.observer.Load(); fn != nil && *fn != nil {
		(*fn)(ctx, call)
	}
	return call
}

// Take returns the sums since the last Take and forgets them.
func (l *Ledger) Take() []*Sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*Sum, 0, len(l.sums))
	for _, sum := range l.sums {
		list = append(list, sum)
	}
	clear(l.sums)
	return list
}

// Return takes back sums that could not be stored.
func (l *Ledger) Return(sums []*Sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sum := range sums {
		k := sumKey{sum.Endpoint, sum.Minute}
		switch mine := l.sums[k]; {
		case mine != nil:
			mine.merge(sum)
		case len(l.sums) < maxSums:
			l.sums[k] = sum
		}
	}
}

// template returns the template under which an endpoint is counted.
func (l *Ledger) template(given string) string {
	if i := strings.IndexByte(given, '?'); i >= 0 {
		given = given[:i]
	}
	if given == "" {
		return Other
	}
	if known, ok := l.templates[given]; ok {
		return known
	}
	if len(l.templates) >= MaxTemplates {
		return Other
	}
	l.templates[strings.Clone(given)] = l.redact(printable(given), maxTemplate)
	return l.templates[given]
}

// printable returns a text without control characters, in valid UTF-8.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// sum returns the sum to which a call is added. If there are too many, nobody takes them: the sums of
// earlier minutes are then of no use any more.
func (l *Ledger) sum(call *Call) *Sum {
	k := sumKey{Endpoint{call.Scope, call.Budget, call.Method, call.Template}, call.Start.Add(call.Duration).UnixMicro()}
	k.minute -= k.minute % minute
	if sum := l.sums[k]; sum != nil {
		return sum
	}
	if len(l.sums) >= maxSums {
		for other := range l.sums {
			if other.minute < k.minute {
				delete(l.sums, other)
			}
		}
	}
	if len(l.sums) >= maxSums {
		k.Endpoint = Endpoint{Method: UnknownMethod, Template: Other}
		if sum := l.sums[k]; sum != nil {
			return sum
		}
	}
	sum := &Sum{Endpoint: k.Endpoint, Minute: k.minute, Errors: map[string]int64{}, Durations: map[int]int64{}, Left: -1}
	l.sums[k] = sum
	return sum
}

func (s *Sum) add(call *Call) {
	end := call.Start.Add(call.Duration).UnixMicro()
	s.Calls++
	s.Durations[logbucket.Of(call.Duration)]++
	s.Total += call.Duration
	if call.Class != "" {
		s.addErrors(call.Class, 1)
	}
	if s.First == 0 || end < s.First {
		s.First = end
	}
	s.Last = max(s.Last, end)
	if call.Left >= 0 && end >= s.LeftAt {
		s.Left, s.LeftAt, s.Reset = call.Left, end, 0
		if !call.Reset.IsZero() {
			s.Reset = call.Reset.UnixMicro()
		}
	}
}

func (s *Sum) addErrors(class string, n int64) {
	if _, ok := s.Errors[class]; !ok && len(s.Errors) >= maxClasses {
		class = overflowClass
	}
	s.Errors[class] += n
}

// merge adds another sum of the same endpoint and minute.
func (s *Sum) merge(other *Sum) {
	s.Calls += other.Calls
	s.Total += other.Total
	for class, n := range other.Errors {
		s.addErrors(class, n)
	}
	for bucket, n := range other.Durations {
		s.Durations[bucket] += n
	}
	s.First, s.Last = min(s.First, other.First), max(s.Last, other.Last)
	if other.LeftAt > s.LeftAt {
		s.Left, s.LeftAt, s.Reset = other.Left, other.LeftAt, other.Reset
	}
}

// knownMethod returns a method of HTTP, so that their number is bounded.
func knownMethod(method string) string {
	switch method {
	case "":
		return "GET"
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return method
	}
	return UnknownMethod
}

// Key gives access to the ledger of a Remote. Only this module can make a valid one.
type Key struct{ valid bool }

// NewKey returns a valid key.
func NewKey() Key { return Key{valid: true} }

// Valid reports whether the key gives access.
func (k Key) Valid() bool { return k.valid }
