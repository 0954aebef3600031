-- The class of the error that has parked a limit scope, such as unavailable. It is NULL in rows of an operator, and in
-- those that a process of the previous release has written: their reason begins with the class.
-- +goose Up
ALTER TABLE nawasync_scopes ADD COLUMN IF NOT EXISTS class TEXT;
UPDATE nawasync_settings SET value = '18' WHERE name = 'schema_version' AND value IN ('12', '13', '14', '15', '16', '17');

-- +goose Down
ALTER TABLE nawasync_scopes DROP COLUMN IF EXISTS class;
