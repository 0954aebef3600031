-- Syncs record here what changed on the remote, per object. The object's own jobs do not record it.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_changes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    target_key    INTEGER NOT NULL,
    job_id        INTEGER NOT NULL,
    what          TEXT NOT NULL,
    fields        TEXT
);
CREATE INDEX IF NOT EXISTS nawasync_changes_target ON nawasync_changes (target_key, id);
UPDATE nawasync_settings SET value = '4' WHERE name = 'schema_version';

-- +goose Down
DROP TABLE IF EXISTS nawasync_changes;
UPDATE nawasync_settings SET value = '3' WHERE name = 'schema_version';
