-- A job can name the snapshot row that it changes. A sync that would delete too many rows is held.
-- SQLite has no ADD COLUMN IF NOT EXISTS, but it rolls a failed migration back, so this migration can
-- run again.
-- +goose Up
ALTER TABLE nawasync_jobs ADD COLUMN snap_table TEXT;
ALTER TABLE nawasync_jobs ADD COLUMN snap_row INTEGER;
ALTER TABLE nawasync_jobs ADD COLUMN snap_state TEXT;

CREATE TABLE IF NOT EXISTS nawasync_held (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    instance      TEXT NOT NULL,
    open_key      TEXT,
    status        TEXT NOT NULL,
    job_id        INTEGER NOT NULL,
    release_job   INTEGER,
    snap_table    TEXT NOT NULL,
    rows_known    INTEGER NOT NULL,
    rows_absent   INTEGER NOT NULL,
    rows_limit    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    decided_at    INTEGER,
    decided_by    TEXT,
    arguments     TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_held_open ON nawasync_held (open_key);
CREATE INDEX IF NOT EXISTS nawasync_held_scope ON nawasync_held (service, type, instance, id);

CREATE TABLE IF NOT EXISTS nawasync_held_rows (
    held_id       INTEGER NOT NULL,
    snap_row      INTEGER NOT NULL,
    target_id     TEXT NOT NULL,
    PRIMARY KEY (held_id, snap_row)
);
UPDATE nawasync_settings SET value = '2' WHERE name = 'schema_version';

-- +goose Down
DROP TABLE IF EXISTS nawasync_held_rows;
DROP TABLE IF EXISTS nawasync_held;
ALTER TABLE nawasync_jobs DROP COLUMN snap_table;
ALTER TABLE nawasync_jobs DROP COLUMN snap_row;
ALTER TABLE nawasync_jobs DROP COLUMN snap_state;
UPDATE nawasync_settings SET value = '1' WHERE name = 'schema_version';
