-- Errors of jobs by signature: the hash of an error's class and of its text without what varies.
-- error_signature is set on failed jobs and on those in conflict; NULL on all others and on jobs that
-- ended before this migration. 0 stands for errors beyond the number that is counted one by one.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_errors (
    signature     INTEGER NOT NULL PRIMARY KEY,
    class         TEXT NOT NULL,
    text          TEXT NOT NULL,
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS nawasync_error_stats (
    period        TEXT NOT NULL,
    bucket        INTEGER NOT NULL,
    service       TEXT NOT NULL,
    instance      TEXT NOT NULL,
    signature     INTEGER NOT NULL,
    jobs          INTEGER NOT NULL,
    last_job      INTEGER NOT NULL,
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    PRIMARY KEY (period, bucket, service, instance, signature)
);
ALTER TABLE nawasync_jobs ADD COLUMN error_signature INTEGER;
CREATE INDEX IF NOT EXISTS nawasync_jobs_error ON nawasync_jobs (error_signature, finished_at) WHERE error_signature IS NOT NULL;
ALTER TABLE nawasync_stat_deltas ADD COLUMN error_signature INTEGER;
ALTER TABLE nawasync_stat_deltas ADD COLUMN error_class TEXT;
ALTER TABLE nawasync_stat_deltas ADD COLUMN error_text TEXT;
ALTER TABLE nawasync_stat_deltas ADD COLUMN first_at INTEGER;
UPDATE nawasync_settings SET value = '10' WHERE name = 'schema_version' AND value = '9';

-- +goose Down
DROP TABLE IF EXISTS nawasync_error_stats;
DROP TABLE IF EXISTS nawasync_errors;
DROP INDEX IF EXISTS nawasync_jobs_error;
ALTER TABLE nawasync_jobs DROP COLUMN error_signature;
ALTER TABLE nawasync_stat_deltas DROP COLUMN error_signature;
ALTER TABLE nawasync_stat_deltas DROP COLUMN error_class;
ALTER TABLE nawasync_stat_deltas DROP COLUMN error_text;
ALTER TABLE nawasync_stat_deltas DROP COLUMN first_at;
