-- Errors of jobs by signature: the hash of an error's class and of its text without what varies.
-- error_signature is set on failed jobs and on those in conflict; NULL on all others and on jobs that
-- ended before this migration. 0 stands for errors beyond the number that is counted one by one.
-- MySQL has no partial indexes: error_at is finished_at of the jobs with a signature, so that the end of
-- any other job does not change the index.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_errors (
    signature     BIGINT NOT NULL PRIMARY KEY,
    class         VARCHAR(30) NOT NULL,
    text          VARCHAR(1000) NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS nawasync_error_stats (
    period        VARCHAR(6) NOT NULL,
    bucket        BIGINT NOT NULL,
    service       VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    signature     BIGINT NOT NULL,
    jobs          BIGINT NOT NULL,
    last_job      BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    PRIMARY KEY (period, bucket, service, instance, signature)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE nawasync_jobs ADD COLUMN /*M! IF NOT EXISTS */ error_signature BIGINT,
    ADD COLUMN /*M! IF NOT EXISTS */ error_at BIGINT GENERATED ALWAYS AS (CASE WHEN error_signature IS NULL THEN NULL ELSE finished_at END) STORED,
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_jobs_error (error_signature, error_at);
ALTER TABLE nawasync_stat_deltas ADD COLUMN /*M! IF NOT EXISTS */ error_signature BIGINT, ADD COLUMN /*M! IF NOT EXISTS */ error_class VARCHAR(30),
    ADD COLUMN /*M! IF NOT EXISTS */ error_text VARCHAR(1000), ADD COLUMN /*M! IF NOT EXISTS */ first_at BIGINT;
UPDATE nawasync_settings SET value = '10' WHERE name = 'schema_version' AND value = '9';

-- +goose Down
DROP TABLE IF EXISTS nawasync_error_stats;
DROP TABLE IF EXISTS nawasync_errors;
ALTER TABLE nawasync_jobs DROP INDEX /*M! IF EXISTS */ nawasync_jobs_error, DROP COLUMN /*M! IF EXISTS */ error_at, DROP COLUMN /*M! IF EXISTS */ error_signature;
ALTER TABLE nawasync_stat_deltas DROP COLUMN /*M! IF EXISTS */ error_signature, DROP COLUMN /*M! IF EXISTS */ error_class,
    DROP COLUMN /*M! IF EXISTS */ error_text, DROP COLUMN /*M! IF EXISTS */ first_at;
