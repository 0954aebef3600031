-- Errors of jobs by signature: the hash of an error's class and of its text without what varies.
-- error_signature is set on failed jobs and on those in conflict; NULL on all others and on jobs that
-- ended before this migration. 0 stands for errors beyond the number that is counted one by one.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_errors (
    signature     BIGINT NOT NULL PRIMARY KEY,
    class         TEXT NOT NULL,
    text          TEXT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS nawasync_error_stats (
    period        TEXT NOT NULL,
    bucket        BIGINT NOT NULL,
    service       TEXT NOT NULL,
    instance      TEXT NOT NULL,
    signature     BIGINT NOT NULL,
    jobs          BIGINT NOT NULL,
    last_job      BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    PRIMARY KEY (period, bucket, service, instance, signature)
);
ALTER TABLE nawasync_jobs ADD COLUMN IF NOT EXISTS error_signature BIGINT;
CREATE INDEX IF NOT EXISTS nawasync_jobs_error ON nawasync_jobs (error_signature, finished_at) WHERE error_signature IS NOT NULL;
ALTER TABLE nawasync_stat_deltas ADD COLUMN IF NOT EXISTS error_signature BIGINT, ADD COLUMN IF NOT EXISTS error_class TEXT,
    ADD COLUMN IF NOT EXISTS error_text TEXT, ADD COLUMN IF NOT EXISTS first_at BIGINT;
UPDATE nawasync_settings SET value = '10' WHERE name = 'schema_version' AND value = '9';

-- +goose Down
DROP TABLE IF EXISTS nawasync_error_stats;
DROP TABLE IF EXISTS nawasync_errors;
DROP INDEX IF EXISTS nawasync_jobs_error;
ALTER TABLE nawasync_jobs DROP COLUMN IF EXISTS error_signature;
ALTER TABLE nawasync_stat_deltas DROP COLUMN IF EXISTS error_signature, DROP COLUMN IF EXISTS error_class,
    DROP COLUMN IF EXISTS error_text, DROP COLUMN IF EXISTS first_at;
