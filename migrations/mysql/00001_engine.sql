-- Times are integers, in microseconds since 1970 UTC. They mean the same in every database and do
-- not depend on the session's time zone.
-- Every statement can run again without harm. If this migration fails halfway in a database without
-- transactional DDL, run it again.
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
    rung_at       BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    started_at    BIGINT,
    deadline_at   BIGINT,
    finished_at   BIGINT,
    cancel_at     BIGINT,
    retry_of      BIGINT,
    duration_ms   BIGINT,
    epoch         INT NOT NULL,
    ring          INT NOT NULL,
    attempt       INT NOT NULL,
    max_attempts  INT NOT NULL,
    wrote         BOOLEAN NOT NULL DEFAULT FALSE,
    status        VARCHAR(10) NOT NULL,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(64) NOT NULL,
    target_id     VARCHAR(255) NOT NULL,
    queue         VARCHAR(50) NOT NULL,
    active_key    VARCHAR(40),
    triggered_by  VARCHAR(255) NOT NULL,
    trigger_source VARCHAR(20) NOT NULL,
    worker        VARCHAR(64),
    cancel_by     VARCHAR(255),
    trace         VARCHAR(64),
    error_class   VARCHAR(30),
    progress      TEXT,
    payload       MEDIUMTEXT,
    sealed        MEDIUMBLOB,
    result        MEDIUMTEXT,
    error         TEXT,
    diff          MEDIUMTEXT,
    KEY nawasync_jobs_wake (queue, wake_at, id),
    KEY nawasync_jobs_lane (open_lane, id),
    UNIQUE KEY nawasync_jobs_running (running_lane),
    UNIQUE KEY nawasync_jobs_active (active_key),
    KEY nawasync_jobs_target (target_key, id),
    KEY nawasync_jobs_service (service, id),
    KEY nawasync_jobs_finished (status, finished_at)
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
    queues        MEDIUMTEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_scopes (
    service       VARCHAR(50) NOT NULL,
    instance      VARCHAR(64) NOT NULL,
    paused_until  BIGINT NOT NULL,
    parked        BOOLEAN NOT NULL,
    paused_by     VARCHAR(255) NOT NULL,
    created_at    BIGINT NOT NULL,
    reason        TEXT NOT NULL,
    PRIMARY KEY (service, instance)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_schedules (
    name          VARCHAR(100) NOT NULL PRIMARY KEY,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    action        VARCHAR(50) NOT NULL,
    instance      VARCHAR(64) NOT NULL,
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
    instance      VARCHAR(64) NOT NULL,
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
    instance      VARCHAR(64) NOT NULL,
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
    instance      VARCHAR(64) NOT NULL,
    job_id        BIGINT NOT NULL,
    finished_at   BIGINT NOT NULL,
    PRIMARY KEY (service, type, action, instance)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_duties (
    name          VARCHAR(50) NOT NULL PRIMARY KEY,
    holder        VARCHAR(64) NOT NULL,
    held_until    BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nawasync_settings (
    name          VARCHAR(50) NOT NULL PRIMARY KEY,
    value         VARCHAR(255) NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO nawasync_settings (name, value) VALUES ('schema_version', '1');

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
