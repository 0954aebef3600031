-- Every statement can run again without harm. MySQL has no ADD COLUMN IF NOT EXISTS, so the statement
-- that adds the columns is prepared only if they are missing.
-- +goose Up
-- The jobs that a bulk run has added.
CREATE TABLE IF NOT EXISTS nawasync_bulk_jobs (
    run_id        BIGINT NOT NULL,
    job_id        BIGINT NOT NULL,
    PRIMARY KEY (run_id, job_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- retried_as is the job that follows an ended one: its retry, or the answer to its conflict.
-- original is the first job of a chain of retries.
SET @nawasync_change = (SELECT CASE COUNT(*) WHEN 0 THEN 'ALTER TABLE nawasync_jobs ADD COLUMN retried_as BIGINT, ADD COLUMN original BIGINT' ELSE 'DO 0' END
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'nawasync_jobs' AND column_name = 'retried_as');
PREPARE nawasync_change FROM @nawasync_change;
EXECUTE nawasync_change;
DEALLOCATE PREPARE nawasync_change;
UPDATE nawasync_settings SET value = '8' WHERE name = 'schema_version' AND value = '7';

-- +goose Down
DROP TABLE IF EXISTS nawasync_bulk_jobs;
