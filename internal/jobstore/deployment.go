package jobstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// NoteVersion adds an entry to the audit log if the last process of a program that started had another
// version. While a deployment is under way and processes of both versions start, it adds one for each change.
func (s *Store) NoteVersion(ctx context.Context, program, version string) error {
	if version == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(program))
	name := "version_" + hex.EncodeToString(sum[:16]) // the column is short, and a path can be long
	version = sqlkit.CleanText(version, 100)
	if _, err := s.Setting(ctx, name, version); err != nil {
		return err
	}
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_settings SET value = ? WHERE name = ? AND value <> ?", version, name, version)
		if done.Error != nil || done.RowsAffected == 0 {
			return done.Error
		}
		return s.appendAudit(ctx, conn, tracker.AuditEntry{
			Subject: ByEngine, Action: tracker.DeployAction, Outcome: tracker.AuditDone, Detail: version,
		})
	})
	if err != nil {
		return fmt.Errorf("note version %s of %s: %w", version, program, err)
	}
	return nil
}
