-- Syncs record here what changed on the remote, per object. The object's own jobs do not record it.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_changes (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at            BIGINT NOT NULL,
    target_key    BIGINT NOT NULL,
    job_id        BIGINT NOT NULL,
    what          VARCHAR(20) NOT NULL,
    fields        MEDIUMTEXT,
    KEY nawasync_changes_target (target_key, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
UPDATE nawasync_settings SET value = '4' WHERE name = 'schema_version';

-- +goose Down
DROP TABLE IF EXISTS nawasync_changes;
UPDATE nawasync_settings SET value = '3' WHERE name = 'schema_version';
