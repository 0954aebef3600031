-- Times are integers, in microseconds since 1970 UTC. They mean the same in every database and do
-- not depend on the session's time zone.
-- Every statement can run again without harm. If this migration fails halfway in a database without
-- transactional DDL, run it again.
-- claim_queue is NULL for rows that no worker may claim. MySQL has no partial indexes; with NULL in
-- its first column, a row is outside of the part of the claim index that workers read. For the same
-- reason deleted_at is a column of the list index.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_jobs (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    target_key    BIGINT NOT NULL,
    lane          BIGINT NOT NULL,
    open_lane     BIGINT,
    running_lane  BIGINT,
    wake_at       BIGINT,
    not_before    BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    started_at    BIGINT,
    deadline_at   BIGINT,
    finished_at   BIGINT,
    cancel_at     BIGINT,
    retry_of      BIGINT,
    duration_ms   BIGINT,
    epoch         INT NOT NULL,
    attempt       INT NOT NULL,
    max_attempts  INT NOT NULL,
    leases_lost   INT NOT NULL DEFAULT 0,
    wrote         BOOLEAN NOT NULL DEFAULT FALSE,
    in_lane       BOOLEAN NOT NULL,
    status        VARCHAR(10) NOT NULL,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    target_id     VARCHAR(255) NOT NULL,
    queue         VARCHAR(50) NOT NULL,
    unique_key    VARCHAR(80),
    triggered_by  VARCHAR(255) NOT NULL,
    trigger_source VARCHAR(20) NOT NULL,
    worker        VARCHAR(64),
    cancel_by     VARCHAR(255),
    trace         VARCHAR(1024),
    error_class   VARCHAR(30),
    snap_table    VARCHAR(128),
    snap_row      BIGINT,
    snap_state    VARCHAR(16),
    deleted_at    BIGINT,
    progress      TEXT,
    payload       MEDIUMTEXT,
    sealed        MEDIUMBLOB,
    state         MEDIUMBLOB,
    result        MEDIUMTEXT,
    error         TEXT,
    diff          MEDIUMTEXT,
    claim_queue   VARCHAR(50) GENERATED ALWAYS AS (CASE WHEN wake_at IS NULL THEN NULL ELSE queue END) STORED,
    KEY nawasync_jobs_claim (claim_queue, service, type, action, instance, wake_at, id),
    KEY nawasync_jobs_lane (open_lane, in_lane, id),
    UNIQUE KEY nawasync_jobs_running (running_lane),
    KEY nawasync_jobs_target (target_key, id),
    KEY nawasync_jobs_list (service, status, deleted_at, id),
    KEY nawasync_jobs_finished (status, finished_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The open job of each unique key. A unique index on a nullable column of nawasync_jobs would make
-- MariaDB's inserts wait for each other.
CREATE TABLE IF NOT EXISTS nawasync_keys (
    unique_key    VARCHAR(80) NOT NULL PRIMARY KEY,
    job_id        BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_attempts (
    job_id        BIGINT NOT NULL,
    epoch         INT NOT NULL,
    attempt       INT NOT NULL,
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    duration_ms   BIGINT NOT NULL,
    outcome       VARCHAR(20) NOT NULL,
    worker        VARCHAR(64) NOT NULL,
    error_class   VARCHAR(30),
    error         TEXT,
    stack         TEXT,
    log           MEDIUMTEXT,
    PRIMARY KEY (job_id, epoch)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_processes (
    id            VARCHAR(64) NOT NULL PRIMARY KEY,
    host          VARCHAR(255) NOT NULL,
    pid           INT NOT NULL,
    beat          BIGINT NOT NULL,
    beat_at       BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    kinds         MEDIUMTEXT NOT NULL,
    queues        MEDIUMTEXT NOT NULL,
    troubles      MEDIUMTEXT
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_scopes (
    service       VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    paused_until  BIGINT NOT NULL,
    parked        BOOLEAN NOT NULL,
    paused_by     VARCHAR(255) NOT NULL,
    created_at    BIGINT NOT NULL,
    reason        TEXT NOT NULL,
    PRIMARY KEY (service, instance)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Pauses and parks that have ended. The time in them does not count towards a job's expiry.
CREATE TABLE IF NOT EXISTS nawasync_pauses (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service       VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    began_at      BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    KEY nawasync_pauses_scope (service, ended_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_schedules (
    name          VARCHAR(100) NOT NULL PRIMARY KEY,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    target_id     VARCHAR(255) NOT NULL,
    spec          VARCHAR(255) NOT NULL,
    timezone      VARCHAR(64) NOT NULL,
    last_tick     BIGINT NOT NULL,
    last_job      BIGINT,
    seen_at       BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_stat_deltas (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    minute        BIGINT NOT NULL,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    outcome       VARCHAR(10) NOT NULL,
    jobs          BIGINT NOT NULL,
    last_job      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    waits         TEXT NOT NULL,
    runs          TEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_stats (
    period        VARCHAR(6) NOT NULL,
    bucket        BIGINT NOT NULL,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    outcome       VARCHAR(10) NOT NULL,
    jobs          BIGINT NOT NULL,
    waits         TEXT NOT NULL,
    runs          TEXT NOT NULL,
    PRIMARY KEY (period, bucket, service, type, instance, action, outcome)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_last_success (
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    job_id        BIGINT NOT NULL,
    finished_at   BIGINT NOT NULL,
    PRIMARY KEY (service, type, action, instance)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_duties (
    name          VARCHAR(50) NOT NULL PRIMARY KEY,
    holder        VARCHAR(64) NOT NULL,
    held_until    BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A sync that would delete too many rows is held.
CREATE TABLE IF NOT EXISTS nawasync_held (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    open_key      VARCHAR(40),
    status        VARCHAR(10) NOT NULL,
    job_id        BIGINT NOT NULL,
    release_job   BIGINT,
    snap_table    VARCHAR(128) NOT NULL,
    rows_known    BIGINT NOT NULL,
    rows_absent   BIGINT NOT NULL,
    rows_limit    BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    decided_at    BIGINT,
    decided_by    VARCHAR(255),
    arguments     TEXT NOT NULL,
    UNIQUE KEY nawasync_held_open (open_key),
    KEY nawasync_held_scope (service, type, instance, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_held_rows (
    held_id       BIGINT NOT NULL,
    snap_row      BIGINT NOT NULL,
    target_id     VARCHAR(255) NOT NULL,
    PRIMARY KEY (held_id, snap_row)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What operators did, and the policies of the pages.
CREATE TABLE IF NOT EXISTS nawasync_acts (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at            BIGINT NOT NULL,
    subject       VARCHAR(255) NOT NULL,
    act           VARCHAR(50) NOT NULL,
    outcome       VARCHAR(20) NOT NULL,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    target_id     VARCHAR(255) NOT NULL,
    target_key    BIGINT,
    job_id        BIGINT,
    address       VARCHAR(64) NOT NULL,
    reason        TEXT NOT NULL,
    detail        TEXT NOT NULL,
    KEY nawasync_acts_service (service, id),
    KEY nawasync_acts_target (target_key, id),
    KEY nawasync_acts_job (job_id, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_policies (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind          VARCHAR(10) NOT NULL,
    v0            VARCHAR(255) NOT NULL,
    v1            VARCHAR(140) NOT NULL,
    v2            VARCHAR(100) NOT NULL,
    instance      VARCHAR(255) NOT NULL DEFAULT '',
    effect        VARCHAR(5) NOT NULL DEFAULT '',
    UNIQUE KEY nawasync_policies_rule (kind, v0, v1, v2, instance, effect)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Syncs record here what changed on the remote, per object. The object's own jobs do not record it.
CREATE TABLE IF NOT EXISTS nawasync_changes (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at            BIGINT NOT NULL,
    target_key    BIGINT NOT NULL,
    job_id        BIGINT NOT NULL,
    what          VARCHAR(20) NOT NULL,
    fields        MEDIUMTEXT,
    KEY nawasync_changes_target (target_key, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_settings (
    name          VARCHAR(50) NOT NULL PRIMARY KEY,
    value         VARCHAR(2000) NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO nawasync_settings (name, value) VALUES ('schema_version', '7');

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
