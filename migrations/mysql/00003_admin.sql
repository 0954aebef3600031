-- The admin pages need a mark for deleted jobs, audit entries, policies and an index for the job lists.
-- The job lists read the ended jobs of a service and status, newest first, without deleted jobs.
-- MySQL has no partial indexes, so deleted_at is a column of the list index.
-- As in 00002, the check of information_schema lets this migration run again after it failed halfway.
-- +goose Up
SET @nawasync_ddl = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'nawasync_jobs' AND column_name = 'deleted_at') = 0,
  'ALTER TABLE nawasync_jobs ADD COLUMN deleted_at BIGINT, ADD KEY nawasync_jobs_list (service, status, deleted_at, id), DROP KEY nawasync_jobs_service', 'DO 0');
PREPARE nawasync_add FROM @nawasync_ddl;
EXECUTE nawasync_add;
DEALLOCATE PREPARE nawasync_add;

CREATE TABLE IF NOT EXISTS nawasync_acts (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at            BIGINT NOT NULL,
    subject       VARCHAR(255) NOT NULL,
    act           VARCHAR(50) NOT NULL,
    outcome       VARCHAR(20) NOT NULL,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    instance      VARCHAR(64) NOT NULL,
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
    v1            VARCHAR(255) NOT NULL,
    v2            VARCHAR(100) NOT NULL,
    UNIQUE KEY nawasync_policies_rule (kind, v0, v1, v2)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
UPDATE nawasync_settings SET value = '3' WHERE name = 'schema_version';

-- +goose Down
DROP TABLE IF EXISTS nawasync_policies;
DROP TABLE IF EXISTS nawasync_acts;
ALTER TABLE nawasync_jobs ADD KEY nawasync_jobs_service (service, id), DROP KEY nawasync_jobs_list, DROP COLUMN deleted_at;
UPDATE nawasync_settings SET value = '2' WHERE name = 'schema_version';
