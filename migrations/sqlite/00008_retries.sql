-- SQLite runs a migration in a transaction, so it cannot fail halfway.
-- +goose Up
-- The jobs that a bulk run has added.
CREATE TABLE IF NOT EXISTS nawasync_bulk_jobs (
    run_id        INTEGER NOT NULL,
    job_id        INTEGER NOT NULL,
    PRIMARY KEY (run_id, job_id)
);
-- retried_as is the job that follows an ended one: its retry, or the answer to its conflict.
ALTER TABLE nawasync_jobs ADD COLUMN retried_as INTEGER;
-- original is the first job of a chain of retries.
ALTER TABLE nawasync_jobs ADD COLUMN original INTEGER;
UPDATE nawasync_settings SET value = '8' WHERE name = 'schema_version' AND value = '7';

-- +goose Down
DROP TABLE IF EXISTS nawasync_bulk_jobs;
