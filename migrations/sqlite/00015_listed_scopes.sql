-- The scopes of repositories whose scopes are the rows of another repository. parent_id is the row of that
-- repository; gone_at is when the scope was last found to be gone, 0 while it is listed. retired_job is the job
-- that has hidden the scope's rows, 0 if none has, and retired_at is when it was done.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_listed_scopes (
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    instance      TEXT NOT NULL,
    parent_id     INTEGER NOT NULL,
    listed_at     INTEGER NOT NULL,
    gone_at       INTEGER NOT NULL,
    retired_job   INTEGER NOT NULL,
    retired_at    INTEGER NOT NULL,
    PRIMARY KEY (service, type, instance)
);
UPDATE nawasync_settings SET value = '15' WHERE name = 'schema_version' AND value IN ('12', '13', '14');

-- +goose Down
DROP TABLE IF EXISTS nawasync_listed_scopes;
