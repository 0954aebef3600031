-- Every statement can run again without harm.
-- +goose Up
-- retried_as is the job that follows an ended one: its retry, or the answer to its conflict.
ALTER TABLE nawasync_jobs ADD COLUMN IF NOT EXISTS retried_as BIGINT;
-- original is the first job of a chain of retries.
ALTER TABLE nawasync_jobs ADD COLUMN IF NOT EXISTS original BIGINT;

-- The jobs that a bulk run has added.
CREATE TABLE IF NOT EXISTS nawasync_bulk_jobs (
    run_id        BIGINT NOT NULL,
    job_id        BIGINT NOT NULL,
    PRIMARY KEY (run_id, job_id)
);
UPDATE nawasync_settings SET value = '8' WHERE name = 'schema_version' AND value = '7';

-- +goose Down
DROP TABLE IF EXISTS nawasync_bulk_jobs;
