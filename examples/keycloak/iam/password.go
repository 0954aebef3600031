package iam

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// ResetPassword are the arguments of the job that sets a user's password.
type ResetPassword struct {
	Password  nawasync.Secret `json:"password"`
	Temporary bool            `json:"temporary"` // the user must replace it at the next login
}

// Kind implements nawasync.Args.
func (ResetPassword) Kind() nawasync.Kind {
	return nawasync.Kind{Service: Service, Type: "user", Action: "user_reset_password"}
}

// Target implements nawasync.Args. The repository sets the target.
func (ResetPassword) Target() nawasync.Target { return nawasync.Target{} }

// Options says how a job is dispatched.
func (ResetPassword) Options() nawasync.JobOptions {
	return nawasync.JobOptions{Queue: Queue, Calls: 1}
}

// resetPassword runs these jobs. To set the same password twice does no harm.
type resetPassword struct {
	nawasync.AbstractJob[ResetPassword]

	api   *kcapi.Client
	users nawasync.SyncedRepository[User]
}

// Timeout implements nawasync.Job.
func (*resetPassword) Timeout() time.Duration { return time.Minute }

// Execute sets the password of the row's user.
func (j *resetPassword) Execute(ctx context.Context, run *nawasync.Run[ResetPassword]) error {
	row, err := mirror.Row[User](ctx)
	if err != nil {
		return err
	}
	if err := run.BeginWrite(ctx); err != nil {
		return err
	}
	if run.Args.Temporary { // the user has another required action now
		run.OnSuccess(func(tx *gorm.DB) error {
			_, err := j.users.WithTx(tx).Refresh(ctx, int64(row.ID), nawasync.Options{By: run.Job().TriggeredBy})
			return err
		})
	}
	return j.api.ResetPassword(ctx, row.Realm, row.UserID, run.Args.Password, run.Args.Temporary)
}

// ResetPassword dispatches a job that sets the password of the user that was seen.
func (m *Module) ResetPassword(ctx context.Context, seen User, args ResetPassword, o nawasync.Options) (*tracker.Job, error) {
	if args.Password.Reveal() == "" {
		return nil, fmt.Errorf("%w: the password is empty", nawasync.ErrInvalid)
	}
	o.MarkRow = true
	return m.Users.Dispatch(ctx, seen, args, o)
}

// CreateUser dispatches the creation of a user and, unless the password is empty, the job that sets it. Either both are
// dispatched or none. The second waits for the first, and is skipped if that fails.
func (m *Module) CreateUser(ctx context.Context, want User, args ResetPassword, o nawasync.Options) (created *tracker.Job, err error) {
	err = m.engine.Transaction(ctx, func(tx *gorm.DB) error {
		in := m.Users.WithTx(tx)
		if created, err = in.Create(ctx, want, o); err != nil || args.Password.Reveal() == "" {
			return err
		}
		row, err := in.Find(ctx, created.SnapshotRow)
		if err != nil {
			return err
		}
		o.MarkRow = true
		_, err = in.Dispatch(ctx, row, args, o)
		return err
	})
	return created, err
}
