package mailbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
)

// Module is what the jobs work with.
type Module struct {
	DB      *gorm.DB
	Servers map[string]*whmapi.Client // by instance
	Now     func() time.Time          // nil is time.Now
}

// Register makes the engine serve all seven kinds.
func (m *Module) Register(e *nawasync.Engine) error {
	if m.Now == nil {
		m.Now = time.Now
	}
	return errors.Join(
		nawasync.Register(e, &create{Module: m}),
		nawasync.Register(e, &updateQuota{Module: m}),
		nawasync.Register(e, &updatePassword{Module: m}),
		nawasync.Register(e, &suspend{Module: m}),
		nawasync.Register(e, &unsuspend{Module: m}),
		nawasync.Register(e, &remove{Module: m}),
		nawasync.Register(e, &syncEmails{Module: m}),
	)
}

// mutationTimeout is enough for the slowest server seen, and for two calls.
const mutationTimeout = 60 * time.Second

func (m *Module) server(instance string) (*whmapi.Client, error) {
	client := m.Servers[instance]
	if client == nil {
		return nil, nawasync.WithClass(nawasync.ClassConfig, fmt.Errorf("no WHM server is configured under the name %q", instance))
	}
	return client, nil
}

// write gets the client for one write to the remote.
func (m *Module) write(ctx context.Context, at At, begin func(context.Context) error) (*whmapi.Client, error) {
	client, err := m.server(at.Instance)
	if err != nil {
		return nil, err
	}
	return client, begin(ctx)
}

// changed writes what a job did into the snapshot, when its success commits.
func (m *Module) changed(at At, columns map[string]any) func(tx *gorm.DB) error {
	return func(tx *gorm.DB) error {
		columns["changed_at"] = micros(m.Now())
		return tx.Model(&Mailbox{}).Where("instance = ? AND email = ?", at.Instance, at.Email).Updates(columns).Error
	}
}

type create struct {
	nawasync.AbstractJob[Create]
	*Module
}

func (*create) Timeout() time.Duration { return mutationTimeout }

// Execute adds the mailbox. One that is there already is nobody's business of
// ours, unless an earlier attempt of this very job may have made it.
func (j *create) Execute(ctx context.Context, run *nawasync.Run[Create]) error {
	a := run.Args
	adopt := run.EarlierWrite()
	client, err := j.write(ctx, a.At, run.BeginWrite)
	if err != nil {
		return err
	}
	err = client.AddMailbox(ctx, a.Account, a.Email, a.Password, a.QuotaMB)
	if nawasync.ClassOf(err) == nawasync.ClassAlreadyExists {
		if !adopt {
			return nawasync.Conflict(err.Error(), nawasync.ConflictDetail{Desired: a.At})
		}
		// What it was made with cannot be read back in full: set it again.
		run.Logf("%s is there: an earlier attempt made it; setting its password and quota", a.Email)
		err = errors.Join(client.SetPassword(ctx, a.Account, a.Email, a.Password), client.SetQuota(ctx, a.Account, a.Email, a.QuotaMB))
	}
	if err != nil {
		return err
	}
	run.OnSuccess(func(tx *gorm.DB) error {
		now := micros(j.Now())
		row := Mailbox{Instance: a.Instance, Email: a.Email, Account: a.Account, QuotaMB: a.QuotaMB, JobID: run.Job().ID, ChangedAt: now, SyncedAt: now}
		return tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "instance"}, {Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"account", "quota_mb", "job_id", "changed_at"}),
		}).Create(&row).Error
	})
	return nil
}

type updateQuota struct {
	nawasync.AbstractJob[UpdateQuota]
	*Module
}

func (*updateQuota) Timeout() time.Duration { return mutationTimeout }

// Execute sets the quota. Setting it twice does no harm.
func (j *updateQuota) Execute(ctx context.Context, run *nawasync.Run[UpdateQuota]) error {
	a := run.Args
	client, err := j.write(ctx, a.At, run.BeginWrite)
	if err != nil {
		return err
	}
	if err := client.SetQuota(ctx, a.Account, a.Email, a.QuotaMB); err != nil {
		return err
	}
	run.SetResult(map[string]int64{"quota_mb": a.QuotaMB})
	run.OnSuccess(j.changed(a.At, map[string]any{"quota_mb": a.QuotaMB}))
	return nil
}

type updatePassword struct {
	nawasync.AbstractJob[UpdatePassword]
	*Module
}

func (*updatePassword) Timeout() time.Duration { return mutationTimeout }

// Execute sets the password. The snapshot knows nothing of it.
func (j *updatePassword) Execute(ctx context.Context, run *nawasync.Run[UpdatePassword]) error {
	a := run.Args
	client, err := j.write(ctx, a.At, run.BeginWrite)
	if err != nil {
		return err
	}
	return client.SetPassword(ctx, a.Account, a.Email, a.Password)
}

type suspend struct {
	nawasync.AbstractJob[Suspend]
	*Module
}

func (*suspend) Timeout() time.Duration { return mutationTimeout }

// Execute suspends login and incoming mail.
func (j *suspend) Execute(ctx context.Context, run *nawasync.Run[Suspend]) error {
	a := run.Args
	client, err := j.write(ctx, a.At, run.BeginWrite)
	if err != nil {
		return err
	}
	if err := client.Suspend(ctx, a.Account, a.Email); err != nil {
		return err
	}
	run.OnSuccess(j.changed(a.At, map[string]any{"suspended_login": true, "suspended_incoming": true}))
	return nil
}

type unsuspend struct {
	nawasync.AbstractJob[Unsuspend]
	*Module
}

func (*unsuspend) Timeout() time.Duration { return mutationTimeout }

// Execute undoes a suspension.
func (j *unsuspend) Execute(ctx context.Context, run *nawasync.Run[Unsuspend]) error {
	a := run.Args
	client, err := j.write(ctx, a.At, run.BeginWrite)
	if err != nil {
		return err
	}
	if err := client.Unsuspend(ctx, a.Account, a.Email); err != nil {
		return err
	}
	run.OnSuccess(j.changed(a.At, map[string]any{"suspended_login": false, "suspended_incoming": false}))
	return nil
}

type remove struct {
	nawasync.AbstractJob[Delete]
	*Module
}

func (*remove) Timeout() time.Duration { return mutationTimeout }

// Execute deletes the mailbox. One that is gone already is what was wanted.
func (j *remove) Execute(ctx context.Context, run *nawasync.Run[Delete]) error {
	a := run.Args
	client, err := j.write(ctx, a.At, run.BeginWrite)
	if err != nil {
		return err
	}
	err = client.DeleteMailbox(ctx, a.Account, a.Email)
	if nawasync.ClassOf(err) == nawasync.ClassGone {
		run.Logf("%s was gone already", a.Email)
		err = nil
	}
	if err != nil {
		return err
	}
	run.OnSuccess(func(tx *gorm.DB) error {
		return tx.Where("instance = ? AND email = ?", a.Instance, a.Email).Delete(&Mailbox{}).Error
	})
	return nil
}
