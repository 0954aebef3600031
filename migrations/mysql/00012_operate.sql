-- Pauses and requested runs of schedules, the version and slots of processes, and the audit log by bulk
-- run, person, action, object, outcome and time. listed is FALSE for the entries of a bulk run other than the
-- first one of each instance, so that the list has one line for a run however many jobs the run changed.
-- MySQL has no partial indexes, so its indexes begin with listed.
-- +goose Up
ALTER TABLE nawasync_schedules ADD COLUMN /*M! IF NOT EXISTS */ paused_until BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN /*M! IF NOT EXISTS */ paused_at BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN /*M! IF NOT EXISTS */ paused_by VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN /*M! IF NOT EXISTS */ paused_reason VARCHAR(1000) NOT NULL DEFAULT '',
    ADD COLUMN /*M! IF NOT EXISTS */ run_asked_at BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN /*M! IF NOT EXISTS */ run_asked_by VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN /*M! IF NOT EXISTS */ last_run BIGINT NOT NULL DEFAULT 0;
ALTER TABLE nawasync_processes ADD COLUMN /*M! IF NOT EXISTS */ version VARCHAR(100) NOT NULL DEFAULT '',
    ADD COLUMN /*M! IF NOT EXISTS */ slots MEDIUMTEXT;
ALTER TABLE nawasync_acts ADD COLUMN /*M! IF NOT EXISTS */ run_id BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN /*M! IF NOT EXISTS */ listed BOOLEAN NOT NULL DEFAULT TRUE,
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_run (run_id, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_at (at),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_listed (listed, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_object (target_id, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_outcome (outcome, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_subject (listed, subject, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_action (listed, act, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_listed_service (listed, service, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_subject_all (subject, id),
    ADD INDEX /*M! IF NOT EXISTS */ nawasync_acts_action_all (act, id);
UPDATE nawasync_settings SET value = '12' WHERE name = 'schema_version' AND value = '11';

-- +goose Down
ALTER TABLE nawasync_acts DROP INDEX /*M! IF EXISTS */ nawasync_acts_run,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_at,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_listed,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_object,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_outcome,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_subject,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_action,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_listed_service,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_subject_all,
    DROP INDEX /*M! IF EXISTS */ nawasync_acts_action_all,
    DROP COLUMN /*M! IF EXISTS */ listed,
    DROP COLUMN /*M! IF EXISTS */ run_id;
ALTER TABLE nawasync_processes DROP COLUMN /*M! IF EXISTS */ slots,
    DROP COLUMN /*M! IF EXISTS */ version;
ALTER TABLE nawasync_schedules DROP COLUMN /*M! IF EXISTS */ last_run,
    DROP COLUMN /*M! IF EXISTS */ run_asked_by,
    DROP COLUMN /*M! IF EXISTS */ run_asked_at,
    DROP COLUMN /*M! IF EXISTS */ paused_reason,
    DROP COLUMN /*M! IF EXISTS */ paused_by,
    DROP COLUMN /*M! IF EXISTS */ paused_at,
    DROP COLUMN /*M! IF EXISTS */ paused_until;
