-- The admin pages need a mark for deleted jobs, audit entries, policies and an index for the job lists.
-- +goose Up
ALTER TABLE nawasync_jobs ADD COLUMN deleted_at INTEGER;
-- The job lists read the ended jobs of a service and status, newest first, without deleted jobs.
CREATE INDEX IF NOT EXISTS nawasync_jobs_list ON nawasync_jobs (service, status, id) WHERE finished_at IS NOT NULL AND deleted_at IS NULL;
DROP INDEX IF EXISTS nawasync_jobs_service;

CREATE TABLE IF NOT EXISTS nawasync_acts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    subject       TEXT NOT NULL,
    act           TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    instance      TEXT NOT NULL,
    target_id     TEXT NOT NULL,
    target_key    INTEGER,
    job_id        INTEGER,
    address       TEXT NOT NULL,
    reason        TEXT NOT NULL,
    detail        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS nawasync_acts_service ON nawasync_acts (service, id);
CREATE INDEX IF NOT EXISTS nawasync_acts_target ON nawasync_acts (target_key, id) WHERE target_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_acts_job ON nawasync_acts (job_id, id) WHERE job_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS nawasync_policies (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL,
    v0            TEXT NOT NULL,
    v1            TEXT NOT NULL,
    v2            TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_policies_rule ON nawasync_policies (kind, v0, v1, v2);
UPDATE nawasync_settings SET value = '3' WHERE name = 'schema_version';

-- +goose Down
DROP TABLE IF EXISTS nawasync_policies;
DROP TABLE IF EXISTS nawasync_acts;
DROP INDEX IF EXISTS nawasync_jobs_list;
CREATE INDEX IF NOT EXISTS nawasync_jobs_service ON nawasync_jobs (service, id) WHERE finished_at IS NOT NULL;
ALTER TABLE nawasync_jobs DROP COLUMN deleted_at;
UPDATE nawasync_settings SET value = '2' WHERE name = 'schema_version';
