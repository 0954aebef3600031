package mailbox

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
)

// SyncResult says what a sync did.
type SyncResult struct {
	Accounts  int `json:"accounts"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Deleted   int `json:"deleted"`
	LeftAlone int `json:"left_alone"` // changed by a job while we listed
}

type syncEmails struct {
	nawasync.AbstractJob[Sync]
	*Module
}

func (*syncEmails) Timeout() time.Duration { return 10 * time.Minute }

// Execute lists every account's mailboxes and makes the snapshot like it. What a
// listing lacks is deleted only when all listings have come to their end, and not
// when it is suspiciously much.
func (j *syncEmails) Execute(ctx context.Context, run *nawasync.Run[Sync]) error {
	instance := run.Args.Instance
	client, err := j.server(instance)
	if err != nil {
		return err
	}
	begun := micros(j.Now())
	accounts, err := client.Accounts(ctx)
	if err != nil {
		return err
	}
	result := SyncResult{Accounts: len(accounts)}
	seen := map[string]bool{}
	for i, account := range accounts {
		if account.Suspended {
			run.Logf("account %s is suspended; its mailboxes are left as they are", account.User)
			if err := j.keep(ctx, instance, account.User, seen); err != nil {
				return err
			}
			continue
		}
		asked := micros(j.Now())
		for page, err := range client.Mailboxes(ctx, account.User) {
			if err != nil {
				return fmt.Errorf("account %s: %w", account.User, err)
			}
			for _, box := range page {
				seen[box.Email] = true
			}
			if err := j.store(ctx, instance, account.User, page, asked, &result); err != nil {
				return err
			}
			asked = micros(j.Now())
		}
		run.Progress(ctx, int64(i+1), int64(len(accounts)), account.User)
	}
	if err := j.prune(ctx, instance, seen, begun, &result); err != nil {
		return err
	}
	run.SetResult(result)
	return nil
}

// store writes one page of a listing: what is new and what differs. Rows that a
// job changed after the page was asked for know better.
func (j *syncEmails) store(ctx context.Context, instance, account string, page []whmapi.Mailbox, asked int64, result *SyncResult) error {
	if len(page) == 0 {
		return nil
	}
	emails := make([]string, len(page))
	for i, box := range page {
		emails[i] = box.Email
	}
	return j.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var rows []Mailbox
		if err := tx.Where("instance = ? AND email IN ?", instance, emails).Find(&rows).Error; err != nil {
			return err
		}
		have := map[string]Mailbox{}
		for _, row := range rows {
			have[row.Email] = row
		}
		var fresh []Mailbox
		var same []uint64
		for _, box := range page {
			want := rowOf(instance, account, box)
			row, known := have[box.Email]
			want.ID, want.JobID, want.ChangedAt, want.SyncedAt = row.ID, row.JobID, row.ChangedAt, row.SyncedAt
			switch {
			case !known:
				want.SyncedAt = asked
				fresh = append(fresh, want)
			case row.ChangedAt >= asked:
				result.LeftAlone++
			case row == want:
				same = append(same, row.ID)
			default:
				// Fenced: a job that ended meanwhile moved changed_at.
				update := tx.Model(&Mailbox{}).Where("id = ? AND changed_at = ?", row.ID, row.ChangedAt).Updates(map[string]any{
					"account": want.Account, "quota_mb": want.QuotaMB, "used_mb": want.UsedMB,
					"suspended_login": want.SuspendedLogin, "suspended_incoming": want.SuspendedIncoming, "synced_at": asked,
				})
				if update.Error != nil {
					return update.Error
				}
				result.Updated++
			}
		}
		if len(fresh) > 0 {
			if err := tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(fresh, 500).Error; err != nil {
				return err
			}
		}
		result.Created += len(fresh)
		result.Unchanged += len(same)
		if len(same) == 0 {
			return nil
		}
		return tx.Model(&Mailbox{}).Where("id IN ?", same).Update("synced_at", asked).Error
	})
}

const mebibyte = 1 << 20

func rowOf(instance, account string, box whmapi.Mailbox) Mailbox {
	return Mailbox{
		Instance: instance, Email: box.Email, Account: account, QuotaMB: box.QuotaBytes / mebibyte, UsedMB: box.UsedBytes / mebibyte,
		SuspendedLogin: box.SuspendedLogin, SuspendedIncoming: box.SuspendedIncoming,
	}
}

// keep counts the rows of an account that cannot be listed as seen.
func (j *syncEmails) keep(ctx context.Context, instance, account string, seen map[string]bool) error {
	var emails []string
	err := j.DB.WithContext(ctx).Model(&Mailbox{}).Where("instance = ? AND account = ?", instance, account).Pluck("email", &emails).Error
	for _, email := range emails {
		seen[email] = true
	}
	return err
}

// prune deletes the rows that no listing held, unless they are more than a third:
// then something is wrong with the listing rather than with the mailboxes.
func (j *syncEmails) prune(ctx context.Context, instance string, seen map[string]bool, begun int64, result *SyncResult) error {
	var rows []Mailbox
	if err := j.DB.WithContext(ctx).Select("id", "email", "changed_at").Where("instance = ?", instance).Find(&rows).Error; err != nil {
		return err
	}
	var gone []uint64
	for _, row := range rows {
		if !seen[row.Email] && row.ChangedAt < begun {
			gone = append(gone, row.ID)
		}
	}
	if len(gone) > 10 && len(gone) > len(rows)/3 {
		return nawasync.Permanent(fmt.Errorf("the listing lacks %d of %d mailboxes, which is too many to believe; nothing was deleted. If it is true, delete their rows from whm_mailboxes and sync again", len(gone), len(rows)))
	}
	for len(gone) > 0 {
		n := min(500, len(gone))
		deleted := j.DB.WithContext(ctx).Where("id IN ? AND changed_at < ?", gone[:n], begun).Delete(&Mailbox{})
		if deleted.Error != nil {
			return deleted.Error
		}
		result.Deleted += int(deleted.RowsAffected)
		gone = gone[n:]
	}
	return nil
}
