-- Pauses and requested runs of schedules, the version and slots of processes, and the audit log by bulk
-- run, person, action, object, outcome and time. listed is FALSE for the entries of a bulk run other than the
-- first one of each instance, so that the list has one line for a run however many jobs the run changed.
-- +goose Up
ALTER TABLE nawasync_schedules ADD COLUMN paused_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nawasync_schedules ADD COLUMN paused_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nawasync_schedules ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';
ALTER TABLE nawasync_schedules ADD COLUMN paused_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE nawasync_schedules ADD COLUMN run_asked_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nawasync_schedules ADD COLUMN run_asked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE nawasync_schedules ADD COLUMN last_run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nawasync_processes ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE nawasync_processes ADD COLUMN slots TEXT;
ALTER TABLE nawasync_acts ADD COLUMN run_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nawasync_acts ADD COLUMN listed BOOLEAN NOT NULL DEFAULT TRUE;
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
ALTER TABLE nawasync_acts DROP COLUMN listed;
ALTER TABLE nawasync_acts DROP COLUMN run_id;
ALTER TABLE nawasync_processes DROP COLUMN slots;
ALTER TABLE nawasync_processes DROP COLUMN version;
ALTER TABLE nawasync_schedules DROP COLUMN last_run;
ALTER TABLE nawasync_schedules DROP COLUMN run_asked_by;
ALTER TABLE nawasync_schedules DROP COLUMN run_asked_at;
ALTER TABLE nawasync_schedules DROP COLUMN paused_reason;
ALTER TABLE nawasync_schedules DROP COLUMN paused_by;
ALTER TABLE nawasync_schedules DROP COLUMN paused_at;
ALTER TABLE nawasync_schedules DROP COLUMN paused_until;
