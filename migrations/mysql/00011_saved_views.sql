-- Saved views of the job list: queries with a name, by the person who saved them. options has further parameters of
-- the list's URL. A shared view is offered to everybody who may see what its query names.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_saved_views (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    owner         VARCHAR(255) NOT NULL,
    name          VARCHAR(60) NOT NULL,
    query         VARCHAR(2000) NOT NULL,
    options       VARCHAR(200) NOT NULL,
    shared        BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    UNIQUE KEY nawasync_saved_views_name (owner, name),
    KEY nawasync_saved_views_shared (shared)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
UPDATE nawasync_settings SET value = '11' WHERE name = 'schema_version' AND value = '10';

-- +goose Down
DROP TABLE IF EXISTS nawasync_saved_views;
