-- Saved views of the job list: queries with a name, by the person who saved them. options has further parameters of
-- the list's URL. A shared view is offered to everybody who may see what its query names.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_saved_views (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    owner         TEXT NOT NULL,
    name          TEXT NOT NULL,
    query         TEXT NOT NULL,
    options       TEXT NOT NULL,
    shared        BOOLEAN NOT NULL,
    created_at    INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS nawasync_saved_views_name ON nawasync_saved_views (owner, name);
CREATE INDEX IF NOT EXISTS nawasync_saved_views_shared ON nawasync_saved_views (id) WHERE shared;
UPDATE nawasync_settings SET value = '11' WHERE name = 'schema_version' AND value = '10';

-- +goose Down
DROP TABLE IF EXISTS nawasync_saved_views;
