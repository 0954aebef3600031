-- Limit scopes: until when a remote has asked to wait, which resuming a scope does not end, and how many
-- times refused credentials were tried; 0 if they were not refused.
-- +goose Up
ALTER TABLE nawasync_scopes ADD COLUMN IF NOT EXISTS limited_until BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS probes INTEGER NOT NULL DEFAULT 0;
UPDATE nawasync_settings SET value = '14' WHERE name = 'schema_version' AND value IN ('12', '13');

-- +goose Down
ALTER TABLE nawasync_scopes DROP COLUMN IF EXISTS probes,
    DROP COLUMN IF EXISTS limited_until;
