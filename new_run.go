package nawasync

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
)

// NewRun makes a Run for package nawasynctest, which runs handlers without an engine. Only
// this module can make a valid key; without one NewRun returns nil. finish takes the handler's
// error and returns the recorded run and its outcome.
func NewRun[A Args](key host.Key, args A, o host.RunOptions) (run *Run[A], finish func(error) host.RunRecord) {
	if !key.Valid() {
		return nil, nil
	}
	record := &recordingStore{}
	a := &attempt{
		job: &jobstore.Job{Job: o.Job}, store: record, key: o.IdempotencyKey, redactor: o.Redactor,
		lease: func() error { return nil },
	}
	finish = func(err error) host.RunRecord {
		result := a.resultJSON()
		a.mu.Lock()
		defer a.mu.Unlock()
		hooks := a.onSuccess
		return host.RunRecord{
			Log: a.log.String(), Result: result, Progress: record.lastProgress(), BeganWrite: a.beganWrite, Outcome: outcomeOf(err, a.LastAttempt()),
			OnSuccess: func(tx *gorm.DB) error {
				for _, hook := range hooks {
					if err := hook(tx); err != nil {
						return err
					}
				}
				return nil
			},
		}
	}
	return &Run[A]{Args: args, attempt: a}, finish
}

// recordingStore keeps the progress of an attempt in memory.
type recordingStore struct {
	mu       sync.Mutex
	progress json.RawMessage
}

func (s *recordingStore) lastProgress() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

func (*recordingStore) Now() time.Time { return time.Now() }

func (*recordingStore) MarkWrite(context.Context, *jobstore.Job) (bool, error) { return true, nil }

func (*recordingStore) State(context.Context, int64) ([]byte, error) { return nil, nil }

func (*recordingStore) SetState(context.Context, *jobstore.Job, []byte) (bool, error) {
	return true, nil
}

func (*recordingStore) ClearWrite(context.Context, *jobstore.Job) (bool, error) { return true, nil }

func (s *recordingStore) SetProgress(_ context.Context, _ *jobstore.Job, progress string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = json.RawMessage(progress)
	return true, nil
}
