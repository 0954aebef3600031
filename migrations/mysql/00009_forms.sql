-- Forms of the pages that were sent, by the random token that each form has, so that a form that is
-- sent twice is handled once. request is a hash of the subject, the path and the fields; answer is NULL
-- until the action has ended.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_forms (
    token         VARCHAR(64) NOT NULL PRIMARY KEY,
    request       CHAR(64) NOT NULL,
    started_at    BIGINT NOT NULL,
    answer        TEXT,
    KEY nawasync_forms_started (started_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
UPDATE nawasync_settings SET value = '9' WHERE name = 'schema_version' AND value = '8';

-- +goose Down
DROP TABLE IF EXISTS nawasync_forms;
