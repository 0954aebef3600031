-- Times are integers, in microseconds since 1970 UTC. They mean the same in every database and do
-- not depend on the session's time zone.
-- Every statement can run again without harm. If this migration fails halfway in a database without
-- transactional DDL, run it again.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    target_key    INTEGER NOT NULL,
    lane          INTEGER NOT NULL,
    open_lane     INTEGER,
    running_lane  INTEGER,
    wake_at       INTEGER,
    not_before    INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    started_at    INTEGER,
    deadline_at   INTEGER,
    finished_at   INTEGER,
    cancel_at     INTEGER,
    retry_of      INTEGER,
    duration_ms   INTEGER,
    epoch         INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    max_attempts  INTEGER NOT NULL,
    leases_lost   INTEGER NOT NULL DEFAULT 0,
    wrote         BOOLEAN NOT NULL DEFAULT FALSE,
    in_lane       BOOLEAN NOT NULL,
    status        TEXT NOT NULL,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    target_id     TEXT NOT NULL,
    queue         TEXT NOT NULL,
    unique_key    TEXT,
    triggered_by  TEXT NOT NULL,
    trigger_source TEXT NOT NULL,
    worker        TEXT,
    cancel_by     TEXT,
    trace         TEXT,
    error_class   TEXT,
    snap_table    TEXT,
    snap_row      INTEGER,
    snap_state    TEXT,
    deleted_at    INTEGER,
    progress      TEXT,
    payload       TEXT,
    sealed        BLOB,
    state         BLOB,
    result        TEXT,
    error         TEXT,
    diff          TEXT
);
CREATE INDEX IF NOT EXISTS nawasync_jobs_claim ON nawasync_jobs (queue, service, type, action, instance, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_lane ON nawasync_jobs (open_lane, in_lane, id) WHERE open_lane IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_jobs_running ON nawasync_jobs (running_lane) WHERE running_lane IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_target ON nawasync_jobs (target_key, id) WHERE finished_at IS NOT NULL;
-- The job lists read the ended jobs of a service and status, newest first, without deleted jobs.
CREATE INDEX IF NOT EXISTS nawasync_jobs_list ON nawasync_jobs (service, status, id) WHERE finished_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_finished ON nawasync_jobs (status, finished_at) WHERE finished_at IS NOT NULL;

-- The open job of each unique key. A unique index on a nullable column of nawasync_jobs would make
-- MariaDB's inserts wait for each other.
CREATE TABLE IF NOT EXISTS nawasync_keys (
    unique_key    TEXT NOT NULL PRIMARY KEY,
    job_id        INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS nawasync_attempts (
    job_id        INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL,
    duration_ms   INTEGER NOT NULL,
    outcome       TEXT NOT NULL,
    worker        TEXT NOT NULL,
    error_class   TEXT,
    error         TEXT,
    stack         TEXT,
    log           TEXT,
    PRIMARY KEY (job_id, epoch)
);

CREATE TABLE IF NOT EXISTS nawasync_processes (
    id            TEXT NOT NULL PRIMARY KEY,
    host          TEXT NOT NULL,
    pid           INTEGER NOT NULL,
    beat          INTEGER NOT NULL,
    beat_at       INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    kinds         TEXT NOT NULL,
    queues        TEXT NOT NULL,
    troubles      TEXT
);

CREATE TABLE IF NOT EXISTS nawasync_scopes (
    service       TEXT NOT NULL,
    instance      TEXT NOT NULL,
    paused_until  INTEGER NOT NULL,
    parked        BOOLEAN NOT NULL,
    paused_by     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    PRIMARY KEY (service, instance)
);

-- Pauses and parks that have ended. The time in them does not count towards a job's expiry.
CREATE TABLE IF NOT EXISTS nawasync_pauses (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    service       TEXT NOT NULL,
    instance      TEXT NOT NULL,
    began_at      INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS nawasync_pauses_scope ON nawasync_pauses (service, ended_at);

CREATE TABLE IF NOT EXISTS nawasync_schedules (
    name          TEXT NOT NULL PRIMARY KEY,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    target_id     TEXT NOT NULL,
    spec          TEXT NOT NULL,
    timezone      TEXT NOT NULL,
    last_tick     INTEGER NOT NULL,
    last_job      INTEGER,
    seen_at       INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS nawasync_stat_deltas (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    minute        INTEGER NOT NULL,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    jobs          INTEGER NOT NULL,
    last_job      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    waits         TEXT NOT NULL,
    runs          TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS nawasync_stats (
    period        TEXT NOT NULL,
    bucket        INTEGER NOT NULL,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    jobs          INTEGER NOT NULL,
    waits         TEXT NOT NULL,
    runs          TEXT NOT NULL,
    PRIMARY KEY (period, bucket, service, type, instance, action, outcome)
);

CREATE TABLE IF NOT EXISTS nawasync_last_success (
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    job_id        INTEGER NOT NULL,
    finished_at   INTEGER NOT NULL,
    PRIMARY KEY (service, type, action, instance)
);

CREATE TABLE IF NOT EXISTS nawasync_duties (
    name          TEXT NOT NULL PRIMARY KEY,
    holder        TEXT NOT NULL,
    held_until    INTEGER NOT NULL
);

-- A sync that would delete too many rows is held.
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

-- What operators did, and the policies of the pages.
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
    v2            TEXT NOT NULL,
    instance      TEXT NOT NULL DEFAULT '',
    effect        TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_policies_rule ON nawasync_policies (kind, v0, v1, v2, instance, effect);

-- Syncs record here what changed on the remote, per object. The object's own jobs do not record it.
CREATE TABLE IF NOT EXISTS nawasync_changes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    target_key    INTEGER NOT NULL,
    job_id        INTEGER NOT NULL,
    what          TEXT NOT NULL,
    fields        TEXT
);
CREATE INDEX IF NOT EXISTS nawasync_changes_target ON nawasync_changes (target_key, id);

CREATE TABLE IF NOT EXISTS nawasync_settings (
    name          TEXT NOT NULL PRIMARY KEY,
    value         TEXT NOT NULL
);
INSERT INTO nawasync_settings (name, value) VALUES ('schema_version', '7') ON CONFLICT DO NOTHING;

-- +goose Down
DROP TABLE IF EXISTS nawasync_changes;
DROP TABLE IF EXISTS nawasync_acts;
DROP TABLE IF EXISTS nawasync_policies;
DROP TABLE IF EXISTS nawasync_held;
DROP TABLE IF EXISTS nawasync_held_rows;
DROP TABLE IF EXISTS nawasync_pauses;
DROP TABLE IF EXISTS nawasync_keys;
DROP TABLE IF EXISTS nawasync_settings;
DROP TABLE IF EXISTS nawasync_duties;
DROP TABLE IF EXISTS nawasync_last_success;
DROP TABLE IF EXISTS nawasync_stats;
DROP TABLE IF EXISTS nawasync_stat_deltas;
DROP TABLE IF EXISTS nawasync_schedules;
DROP TABLE IF EXISTS nawasync_scopes;
DROP TABLE IF EXISTS nawasync_processes;
DROP TABLE IF EXISTS nawasync_attempts;
DROP TABLE IF EXISTS nawasync_jobs;
