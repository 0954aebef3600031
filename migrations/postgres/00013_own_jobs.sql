-- The binding of a host's own job on a snapshot row (RepositoryWriter.Dispatch): the repository and the object that
-- the row stood for at the dispatch, as JSON. NULL for all other jobs. Nothing is rewritten.
-- +goose Up
ALTER TABLE nawasync_jobs ADD COLUMN IF NOT EXISTS snap_bound TEXT;
UPDATE nawasync_settings SET value = '13' WHERE name = 'schema_version' AND value = '12';

-- +goose Down
ALTER TABLE nawasync_jobs DROP COLUMN IF EXISTS snap_bound;
