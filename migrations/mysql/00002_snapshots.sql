-- A job can name the snapshot row that it changes. A sync that would delete too many rows is held.
-- MySQL has no ADD COLUMN IF NOT EXISTS and commits every ALTER. The check of information_schema lets this
-- migration run again after it failed halfway.
-- +goose Up
SET @nawasync_ddl = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'nawasync_jobs' AND column_name = 'snap_table') = 0,
  'ALTER TABLE nawasync_jobs ADD COLUMN snap_table VARCHAR(128), ADD COLUMN snap_row BIGINT, ADD COLUMN snap_state VARCHAR(16)', 'DO 0');
PREPARE nawasync_add FROM @nawasync_ddl;
EXECUTE nawasync_add;
DEALLOCATE PREPARE nawasync_add;

CREATE TABLE IF NOT EXISTS nawasync_held (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    instance      VARCHAR(64) NOT NULL,
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
UPDATE nawasync_settings SET value = '2' WHERE name = 'schema_version';

-- +goose Down
DROP TABLE IF EXISTS nawasync_held_rows;
DROP TABLE IF EXISTS nawasync_held;
UPDATE nawasync_settings SET value = '1' WHERE name = 'schema_version';
