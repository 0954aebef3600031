package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/persist"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Enforcer applies the stored rules as they are now: before each request, and before each job of
// a bulk run, the pages call Refresh, which loads the rules again if they have changed. A right that
// was revoked in another process is then gone at once. Its methods are safe for concurrent use.
type Enforcer struct {
	db      *gorm.DB
	current atomic.Pointer[loaded]
	// reading has capacity 1: one caller at a time looks for changed rules, so that many requests use one
	// connection. It is a mutex that a caller stops waiting for when its context ends.
	reading chan struct{}
	begun   atomic.Int64 // how often a caller has begun to look
	read    int64        // the number of the last time that succeeded; only the holder of reading uses it
}

var _ admin.VersionedEnforcer = (*Enforcer)(nil)

// loaded are the rules as they were at one time.
type loaded struct {
	enforcer *casbin.Enforcer
	counts   string // of the stored rules; see storedCounts
	version  string // a hash of the rules
	at       time.Time

	mu       sync.Mutex
	subjects map[string]*casbin.Enforcer
}

// maxSubjects bounds loaded.subjects. The map is emptied when it is full.
const maxSubjects = 1000

// reloadAfter is when the rules are loaded again although their counts are the same: these do not change if
// somebody updates a row by hand.
const reloadAfter = 30 * time.Second

// NewEnforcer loads the stored rules. It returns an error if the database cannot be read or a rule
// cannot be applied.
func NewEnforcer(ctx context.Context, db *gorm.DB) (*Enforcer, error) {
	e := &Enforcer{db: db, reading: make(chan struct{}, 1)}
	if _, err := e.Refresh(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Enforce reports whether a subject has a permission. Its arguments are the four texts that
// admin.Enforcer names.
func (e *Enforcer) Enforce(rvals ...any) (bool, error) {
	now := e.current.Load()
	if now == nil {
		return false, errors.New("the policies are not loaded: create the enforcer with policy.NewEnforcer")
	}
	subject, ok := "", false
	if len(rvals) > 0 {
		subject, ok = rvals[0].(string)
	}
	if !ok {
		return false, errors.New("the first argument of Enforce must be the subject, a string")
	}
	enforcer, err := now.of(subject)
	if err != nil {
		return false, err
	}
	return enforcer.Enforce(rvals...)
}

// of returns an enforcer that has only the rules of a subject and its roles. The pages ask about each
// instance, and an enforcer with the rules of everybody looks at each rule every time.
func (l *loaded) of(subject string) (*casbin.Enforcer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.subjects[subject]; found != nil {
		return found, nil
	}
	rules, err := l.enforcer.GetImplicitPermissionsForUser(subject)
	if err != nil {
		return nil, fmt.Errorf("find the policies of %s: %w", subject, err)
	}
	m, err := Model()
	if err != nil {
		return nil, err
	}
	for _, rule := range rules {
		own := append([]string{"p", subject}, rule[1:]...) // the rule of a role becomes one of the subject
		if err := persist.LoadPolicyArray(own, m); err != nil {
			return nil, fmt.Errorf("apply the policies of %s: %w", subject, err)
		}
	}
	enforcer, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("apply the policies of %s: %w", subject, err)
	}
	if l.subjects == nil || len(l.subjects) >= maxSubjects {
		l.subjects = map[string]*casbin.Enforcer{}
	}
	l.subjects[subject] = enforcer
	return enforcer, nil
}

// Refresh loads the rules if they have changed, and returns their version. It uses one connection of the
// pool, however many callers there are: callers that come while another reads share the next result. If
// the database cannot be read or ctx ends, it returns the error, and Enforce goes on with the rules that
// it has.
func (e *Enforcer) Refresh(ctx context.Context) (string, error) {
	begun := e.begun.Load()
	select {
	case e.reading <- struct{}{}:
		defer func() { <-e.reading }()
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the policies: %w", ctx.Err())
	}
	if e.read > begun { // somebody has begun to read after this call
		return e.current.Load().version, nil
	}
	number := e.begun.Add(1)
	version, err := e.refresh(ctx)
	if err == nil {
		e.read = number
	}
	return version, err
}

// refresh is Refresh for the one caller that reads.
func (e *Enforcer) refresh(ctx context.Context) (string, error) {
	counts, err := e.storedCounts(ctx)
	if err != nil {
		return "", err
	}
	if now := e.current.Load(); now.isCurrent(counts) {
		return now.version, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sqlkit.StatementTimeout)
	defer cancel()
	return e.load(ctx, counts)
}

func (l *loaded) isCurrent(counts string) bool {
	return l != nil && l.counts == counts && time.Since(l.at) < reloadAfter
}

// storedCounts returns a text that changes when a rule is added or removed. Ids are never used twice.
func (e *Enforcer) storedCounts(ctx context.Context) (string, error) {
	var rows, last, sum int64
	row := sqlkit.Connect(ctx, e.db).Row("SELECT COUNT(*), COALESCE(MAX(id), 0), COALESCE(SUM(id), 0) FROM nawasync_policies")
	if err := row.Scan(&rows, &last, &sum); err != nil {
		return "", fmt.Errorf("look for changed policies: %w", err)
	}
	return fmt.Sprintf("%d-%d-%d", rows, last, sum), nil
}

// load loads the rules and returns their version. A change after storedCounts may be among them; then the next
// Refresh loads them again.
func (e *Enforcer) load(ctx context.Context, counts string) (string, error) {
	m, err := Model()
	if err != nil {
		return "", err
	}
	version, err := NewAdapter(e.db).load(ctx, m)
	if err != nil {
		return "", err
	}
	enforcer, err := casbin.NewEnforcer(m)
	if err != nil {
		return "", fmt.Errorf("apply the policies: %w", err)
	}
	if err := enforcer.BuildRoleLinks(); err != nil {
		return "", fmt.Errorf("apply the roles: %w", err)
	}
	e.current.Store(&loaded{enforcer: enforcer, counts: counts, version: version, at: time.Now()})
	return version, nil
}
