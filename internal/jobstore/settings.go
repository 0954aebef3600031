package jobstore

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Setting returns the value of a setting. If the setting does not exist, Setting stores initial
// as its value.
func (s *Store) Setting(ctx context.Context, name, initial string) (string, error) {
	for range 2 {
		value, err := s.readSetting(ctx, name)
		if err == nil || !errors.Is(err, tracker.ErrNotFound) {
			return value, err
		}
		err = s.exec(ctx, func(tx *gorm.DB) error {
			return tx.Exec(s.insertIgnore()+" nawasync_settings (name, value) VALUES (?, ?)"+s.onConflict(), name, initial).Error
		})
		if err != nil {
			return "", fmt.Errorf("write setting %s: %w", name, err)
		}
	}
	return s.readSetting(ctx, name)
}

func (s *Store) readSetting(ctx context.Context, name string) (string, error) {
	var values []string
	if err := s.DB(ctx).Raw("SELECT value FROM nawasync_settings WHERE name = ?", name).Scan(&values).Error; err != nil {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	if len(values) == 0 {
		return "", fmt.Errorf("setting %s: %w", name, tracker.ErrNotFound)
	}
	return values[0], nil
}

// SetSetting stores the value of a setting.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	if _, err := s.Setting(ctx, name, value); err != nil {
		return err
	}
	return s.exec(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE nawasync_settings SET value = ? WHERE name = ?", value, name).Error
	})
}

// settingMarker is the name of a setting. Its value identifies the Redis data that received the
// wake-ups recorded in the rows.
const settingMarker = "redis_marker"

// AdoptMarker stores the marker that Redis holds. If it differs from the stored one, Redis has
// lost its data, and AdoptMarker makes the relay wake all queued jobs again. Of several
// concurrent callers, only one changes the rows.
func (s *Store) AdoptMarker(ctx context.Context, marker string) error {
	if _, err := s.Setting(ctx, settingMarker, ""); err != nil {
		return err
	}
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		done := tx.Exec("UPDATE nawasync_settings SET value = ? WHERE name = ? AND value <> ?", marker, settingMarker, marker)
		if done.Error != nil || done.RowsAffected == 0 {
			return done.Error
		}
		return s.clearRings(tx)
	})
	if err != nil {
		return fmt.Errorf("wake all jobs again after Redis lost its data: %w", err)
	}
	return nil
}
