-- The calls of external APIs. nawasync_call_deltas has what each process counted in a minute; the rollup adds them up
-- in nawasync_calls, by endpoint and minute or hour. A row of nawasync_endpoints is an endpoint (quota 0), all
-- endpoints of one class of one limit scope, which share a quota (quota 1), or a method and template of a service, of
-- all limit scopes (quota 2), whose total is never deleted; endpoint is a hash of the other columns of its name. left_calls is -1 if the server did not say what is left. instance is the limit scope. The calls of
-- an attempt are JSON.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_call_deltas (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    service       TEXT NOT NULL,
    instance      TEXT NOT NULL,
    budget        TEXT NOT NULL,
    method        TEXT NOT NULL,
    template      TEXT NOT NULL,
    bucket        INTEGER NOT NULL,
    calls         INTEGER NOT NULL,
    errors        TEXT NOT NULL,
    durations     TEXT NOT NULL,
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    left_calls    INTEGER NOT NULL,
    left_at       INTEGER NOT NULL,
    reset_at      INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS nawasync_endpoints (
    endpoint      INTEGER NOT NULL PRIMARY KEY,
    quota         INTEGER NOT NULL,
    service       TEXT NOT NULL,
    instance      TEXT NOT NULL,
    budget        TEXT NOT NULL,
    method        TEXT NOT NULL,
    template      TEXT NOT NULL,
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    left_calls    INTEGER NOT NULL,
    left_at       INTEGER NOT NULL,
    reset_at      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS nawasync_endpoints_list ON nawasync_endpoints (quota, service, instance, template, method, endpoint);
CREATE INDEX IF NOT EXISTS nawasync_endpoints_last ON nawasync_endpoints (quota, last_at);
CREATE TABLE IF NOT EXISTS nawasync_calls (
    period        TEXT NOT NULL,
    endpoint      INTEGER NOT NULL,
    bucket        INTEGER NOT NULL,
    calls         INTEGER NOT NULL,
    errors        TEXT NOT NULL,
    durations     TEXT NOT NULL,
    PRIMARY KEY (period, endpoint, bucket)
);
CREATE INDEX IF NOT EXISTS nawasync_calls_bucket ON nawasync_calls (period, bucket);
ALTER TABLE nawasync_attempts ADD COLUMN calls TEXT;
UPDATE nawasync_settings SET value = '17' WHERE name = 'schema_version' AND value IN ('12', '13', '14', '15', '16');

-- +goose Down
ALTER TABLE nawasync_attempts DROP COLUMN calls;
DROP TABLE IF EXISTS nawasync_calls;
DROP TABLE IF EXISTS nawasync_endpoints;
DROP TABLE IF EXISTS nawasync_call_deltas;
