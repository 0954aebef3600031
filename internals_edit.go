package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// RetryEdited is Engine.Retry with other values of some of the arguments, by the keys of their JSON. The other
// arguments, and with them the secrets, are those of the job. The audit entry names the keys. Beside the errors of
// Retry, it returns a host.EditError for arguments that cannot be changed.
func (i internals) RetryEdited(ctx context.Context, id int64, o RetryOptions, values map[string]json.RawMessage) (*tracker.Job, error) {
	var job *tracker.Job
	err := i.operateOn(ctx, "retry", id, OperatorOptions{o.By, o.Reason, o.Address}, func(old *jobstore.Job, entry *tracker.AuditEntry) (err error) {
		if job, err = i.retryEdited(ctx, old, o, values); err == nil {
			entry.Detail = i.redactor.Clip(fmt.Sprintf("job %d, with other %s", job.ID, strings.Join(slices.Sorted(maps.Keys(values)), ", ")), tracker.MaxError/8)
		}
		return err
	})
	return job, err
}

// CheckEdit returns the host.EditError that RetryEdited would return for a job.
func (i internals) CheckEdit(ctx context.Context, id int64, values map[string]json.RawMessage) error {
	old, err := i.store.Load(ctx, id)
	if err != nil {
		return err
	}
	_, err = i.editArguments(old, values)
	return err
}

// CanEdit returns a host.EditError if the arguments of a kind's jobs cannot be changed by this process.
func (i internals) CanEdit(job *tracker.Job) error {
	r := i.registrationOf(&jobstore.Job{Job: *job})
	switch {
	case job.SnapshotTable != "" && !job.OwnJob:
		return &host.EditError{Job: job.ID, Reason: host.EditRepository}
	case job.Tracked():
		return &host.EditError{Job: job.ID, Reason: host.EditTracked}
	case r != nil && r.arguments == nil:
		return &host.EditError{Job: job.ID, Reason: host.EditRepository}
	case r == nil:
		return &host.EditError{Job: job.ID, Reason: host.EditUnregistered}
	}
	return nil
}

func (i internals) retryEdited(ctx context.Context, old *jobstore.Job, o RetryOptions, values map[string]json.RawMessage) (*tracker.Job, error) {
	if !old.Status.Terminal() {
		return nil, fmt.Errorf("retry job %d: %w: it is %s", old.ID, ErrNotEnded, old.Status)
	}
	args, err := i.editArguments(old, values)
	if err != nil {
		return nil, err
	}
	if !o.Force {
		newer, err := i.store.NewerSuccess(ctx, &old.Job)
		if err != nil {
			return nil, err
		}
		if newer != 0 {
			return nil, fmt.Errorf("retry job %d: %w (job %d)", old.ID, ErrSuperseded, newer)
		}
	}
	ctx, span := i.telemetry.startDispatch(ctx)
	defer span.End()
	job, err := i.buildRetry(ctx, old, o.By)
	if err != nil {
		return nil, err
	}
	key := uniqueKey(args.Kind(), args.Target(), jobOptionsOf(args))
	if job.OwnJob {
		key = ownUniqueKey(job, jobOptionsOf(args))
	}
	if key != "" {
		job.UniqueKey = key // it may depend on what was changed
	}
	if err := i.packArguments(job, args, jobOptionsOf(args).MaskKeys); err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	if job, err = i.insertFollowUp(ctx, job, jobstore.FollowUp{Of: old.ID, Force: o.Force}); err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	if job.Coalesced {
		return nil, &host.EditError{Job: old.ID, Reason: host.EditOpen, Open: job.ID}
	}
	i.telemetry.recordDispatched(ctx, span, []*jobstore.Job{job})
	return &job.Job, nil
}

// editArguments returns the arguments of a job with other values.
func (i internals) editArguments(old *jobstore.Job, values map[string]json.RawMessage) (Args, error) {
	if err := i.CanEdit(&old.Job); err != nil {
		return nil, err
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, i.argumentsGone(old)
	}
	plain, err := i.openArguments(old)
	if err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	var fields, shown map[string]json.RawMessage
	if json.Unmarshal(plain, &fields) != nil || json.Unmarshal(old.Payload, &shown) != nil || fields == nil {
		return nil, &host.EditError{Job: old.ID, Reason: host.EditNoObject}
	}
	for key, value := range values {
		// What the operator has not seen, the operator does not replace: it may be a secret.
		same, err := secret.SameJSON(fields[key], shown[key])
		if fields[key] == nil || err != nil || !same {
			return nil, &host.EditError{Job: old.ID, Field: key, Reason: host.EditSecret}
		}
		if err := validateJSON(value); err != nil || !json.Valid(value) {
			return nil, &host.EditError{Job: old.ID, Field: key, Reason: host.EditType, Err: err}
		}
		fields[key] = value
	}
	edited, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("retry job %d: marshal the arguments: %w", old.ID, err)
	}
	return i.checkEdited(old, plain, edited)
}

// checkEdited decodes edited arguments, and refuses those of another target, lane or kind: what protects the order of
// an object's jobs was decided when the job was dispatched.
func (i internals) checkEdited(old *jobstore.Job, plain, edited []byte) (Args, error) {
	r := i.registrationOf(old)
	before, err := r.arguments(plain)
	if err != nil {
		return nil, &host.EditError{Job: old.ID, Reason: host.EditNoObject, Err: err}
	}
	args, err := r.arguments(edited)
	if err != nil {
		wrong := &host.EditError{Job: old.ID, Reason: host.EditType, Err: err}
		if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			wrong.Field, _, _ = strings.Cut(typ.Field, ".")
		}
		return nil, wrong
	}
	if args.Kind() != before.Kind() || args.Target() != before.Target() || jobOptionsOf(args).Lane != jobOptionsOf(before).Lane {
		return nil, &host.EditError{Job: old.ID, Reason: host.EditTarget}
	}
	return args, nil
}
