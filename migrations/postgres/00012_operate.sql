-- Pauses and requested runs of schedules, the version and slots of processes, and the audit log by bulk
-- run, person, action, object, outcome and time. listed is FALSE for the entries of a bulk run other than the
-- first one of each instance, so that the list has one line for a run however many jobs the run changed.
-- +goose Up
ALTER TABLE nawasync_schedules ADD COLUMN IF NOT EXISTS paused_until BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS paused_at BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS paused_by TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS paused_reason TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS run_asked_at BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS run_asked_by TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS last_run BIGINT NOT NULL DEFAULT 0;
ALTER TABLE nawasync_processes ADD COLUMN IF NOT EXISTS version TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS slots TEXT;
ALTER TABLE nawasync_acts ADD COLUMN IF NOT EXISTS run_id BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS listed BOOLEAN NOT NULL DEFAULT TRUE;
CREATE INDEX IF NOT EXISTS nawasync_acts_run ON nawasync_acts (run_id, id) WHERE run_id <> 0;
CREATE INDEX IF NOT EXISTS nawasync_acts_at ON nawasync_acts (at);
CREATE INDEX IF NOT EXISTS nawasync_acts_listed ON nawasync_acts (id) WHERE listed = TRUE;
CREATE INDEX IF NOT EXISTS nawasync_acts_object ON nawasync_acts (target_id, id) WHERE target_id <> '';
CREATE INDEX IF NOT EXISTS nawasync_acts_outcome ON nawasync_acts (outcome, id) WHERE outcome <> 'done';
CREATE INDEX IF NOT EXISTS nawasync_acts_subject ON nawasync_acts (subject, id) WHERE listed = TRUE;
CREATE INDEX IF NOT EXISTS nawasync_acts_action ON nawasync_acts (act, id) WHERE listed = TRUE;
CREATE INDEX IF NOT EXISTS nawasync_acts_listed_service ON nawasync_acts (service, id) WHERE listed = TRUE;
CREATE INDEX IF NOT EXISTS nawasync_acts_subject_all ON nawasync_acts (subject, id);
CREATE INDEX IF NOT EXISTS nawasync_acts_action_all ON nawasync_acts (act, id);
UPDATE nawasync_settings SET value = '12' WHERE name = 'schema_version' AND value = '11';

-- +goose Down
DROP INDEX IF EXISTS nawasync_acts_run;
DROP INDEX IF EXISTS nawasync_acts_at;
DROP INDEX IF EXISTS nawasync_acts_listed;
DROP INDEX IF EXISTS nawasync_acts_object;
DROP INDEX IF EXISTS nawasync_acts_outcome;
DROP INDEX IF EXISTS nawasync_acts_subject;
DROP INDEX IF EXISTS nawasync_acts_action;
DROP INDEX IF EXISTS nawasync_acts_listed_service;
DROP INDEX IF EXISTS nawasync_acts_subject_all;
DROP INDEX IF EXISTS nawasync_acts_action_all;
ALTER TABLE nawasync_acts DROP COLUMN IF EXISTS listed,
    DROP COLUMN IF EXISTS run_id;
ALTER TABLE nawasync_processes DROP COLUMN IF EXISTS slots,
    DROP COLUMN IF EXISTS version;
ALTER TABLE nawasync_schedules DROP COLUMN IF EXISTS last_run,
    DROP COLUMN IF EXISTS run_asked_by,
    DROP COLUMN IF EXISTS run_asked_at,
    DROP COLUMN IF EXISTS paused_reason,
    DROP COLUMN IF EXISTS paused_by,
    DROP COLUMN IF EXISTS paused_at,
    DROP COLUMN IF EXISTS paused_until;
