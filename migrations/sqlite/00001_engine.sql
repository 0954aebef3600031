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
    rung_at       INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    started_at    INTEGER,
    deadline_at   INTEGER,
    finished_at   INTEGER,
    cancel_at     INTEGER,
    retry_of      INTEGER,
    duration_ms   INTEGER,
    epoch         INTEGER NOT NULL,
    ring          INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    max_attempts  INTEGER NOT NULL,
    wrote         BOOLEAN NOT NULL DEFAULT FALSE,
    status        TEXT NOT NULL,
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    target_id     TEXT NOT NULL,
    queue         TEXT NOT NULL,
    active_key    TEXT,
    triggered_by  TEXT NOT NULL,
    trigger_source TEXT NOT NULL,
    worker        TEXT,
    cancel_by     TEXT,
    trace         TEXT,
    error_class   TEXT,
    progress      TEXT,
    payload       TEXT,
    sealed        BLOB,
    result        TEXT,
    error         TEXT,
    diff          TEXT
);
CREATE INDEX IF NOT EXISTS nawasync_jobs_wake ON nawasync_jobs (queue, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_lane ON nawasync_jobs (open_lane, id) WHERE open_lane IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_jobs_running ON nawasync_jobs (running_lane) WHERE running_lane IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_jobs_active ON nawasync_jobs (active_key) WHERE active_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_target ON nawasync_jobs (target_key, id) WHERE finished_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_service ON nawasync_jobs (service, id) WHERE finished_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS nawasync_jobs_finished ON nawasync_jobs (status, finished_at) WHERE finished_at IS NOT NULL;

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
    queues        TEXT NOT NULL
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

CREATE TABLE IF NOT EXISTS nawasync_settings (
    name          TEXT NOT NULL PRIMARY KEY,
    value         TEXT NOT NULL
);
INSERT INTO nawasync_settings (name, value) VALUES ('schema_version', '1') ON CONFLICT DO NOTHING;

-- +goose Down
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
