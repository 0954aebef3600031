package jobstore

import (
	"context"
	"errors"
	"fmt"

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
		err = s.exec(ctx, func(conn *sqlkit.Conn) error {
			return conn.Exec(s.insertIgnore()+" nawasync_settings (name, value) VALUES (?, ?)"+s.onConflict(), name, initial).Error
		})
		if err != nil {
			return "", fmt.Errorf("write setting %s: %w", name, err)
		}
	}
	return s.readSetting(ctx, name)
}

func (s *Store) readSetting(ctx context.Context, name string) (string, error) {
	values, err := sqlkit.Column[string](s.DB(ctx), "SELECT value FROM nawasync_settings WHERE name = ?", name)
	if err != nil {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	if len(values) == 0 {
		return "", fmt.Errorf("setting %s: %w", name, tracker.ErrNotFound)
	}
	return values[0], nil
}

// ReplaceSetting replaces the value of a setting by what replace makes of it. It does nothing if the setting does not
// exist, or if somebody else changes it meanwhile.
func (s *Store) ReplaceSetting(ctx context.Context, name string, replace func(value string) (string, error)) error {
	old, err := s.readSetting(ctx, name)
	if errors.Is(err, tracker.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	value, err := replace(old)
	if err != nil || value == old {
		return err
	}
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("UPDATE nawasync_settings SET value = ? WHERE name = ? AND value = ?", value, name, old).Error
	})
	if err != nil {
		return fmt.Errorf("replace setting %s: %w", name, err)
	}
	return nil
}

// SetSetting stores the value of a setting.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	if _, err := s.Setting(ctx, name, value); err != nil {
		return err
	}
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("UPDATE nawasync_settings SET value = ? WHERE name = ?", value, name).Error
	})
}
