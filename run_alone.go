package nawasync

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
)

// NewRun is for package nawasynctest, which runs handlers without an engine: elsewhere the
// key cannot be made. finish tells what the handler has left in the run.
func NewRun[A Args](_ host.Key, args A, o host.RunOptions) (run *Run[A], finish func() host.RunRecord) {
	record := &recordingStore{}
	a := &attempt{
		job: &jobstore.Job{Job: o.Job}, store: record, key: o.IdempotencyKey, redactor: o.Redactor,
		lease: func() error { return nil },
	}
	finish = func() host.RunRecord {
		result := a.resultJSON()
		a.mu.Lock()
		defer a.mu.Unlock()
		hooks := a.onSuccess
		return host.RunRecord{
			Log: a.log.String(), Result: result, Progress: record.progress, BeganWrite: a.wrote,
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

// recordingStore keeps what an attempt writes of itself. The attempt calls it one at a
// time, but for progress, whose last word counts.
type recordingStore struct{ progress json.RawMessage }

func (*recordingStore) Now() time.Time { return time.Now() }

func (*recordingStore) MarkWrite(context.Context, *jobstore.Job) (bool, error) { return true, nil }

func (*recordingStore) ClearWrite(context.Context, *jobstore.Job) (bool, error) { return true, nil }

func (s *recordingStore) SetProgress(_ context.Context, _ *jobstore.Job, progress string) (bool, error) {
	s.progress = json.RawMessage(progress)
	return true, nil
}
