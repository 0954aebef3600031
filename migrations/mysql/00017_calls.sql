-- The calls of external APIs. nawasync_call_deltas has what each process counted in a minute; the rollup adds them up
-- in nawasync_calls, by endpoint and minute or hour. A row of nawasync_endpoints is an endpoint (quota 0), all
-- endpoints of one class of one limit scope, which share a quota (quota 1), or a method and template of a service, of
-- all limit scopes (quota 2), whose total is never deleted; endpoint is a hash of the other columns of its name. left_calls is -1 if the server did not say what is left. instance is the limit scope. The calls of
-- an attempt are JSON.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_call_deltas (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service       VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    budget        VARCHAR(100) NOT NULL,
    method        VARCHAR(10) NOT NULL,
    template      VARCHAR(200) NOT NULL,
    bucket        BIGINT NOT NULL,
    calls         BIGINT NOT NULL,
    errors        TEXT NOT NULL,
    durations     TEXT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    left_calls    BIGINT NOT NULL,
    left_at       BIGINT NOT NULL,
    reset_at      BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS nawasync_endpoints (
    endpoint      BIGINT NOT NULL PRIMARY KEY,
    quota         SMALLINT NOT NULL,
    service       VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    budget        VARCHAR(100) NOT NULL,
    method        VARCHAR(10) NOT NULL,
    template      VARCHAR(200) NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    left_calls    BIGINT NOT NULL,
    left_at       BIGINT NOT NULL,
    reset_at      BIGINT NOT NULL,
    KEY nawasync_endpoints_list (quota, service, instance, template, method, endpoint),
    KEY nawasync_endpoints_last (quota, last_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS nawasync_calls (
    period        VARCHAR(6) NOT NULL,
    endpoint      BIGINT NOT NULL,
    bucket        BIGINT NOT NULL,
    calls         BIGINT NOT NULL,
    errors        TEXT NOT NULL,
    durations     TEXT NOT NULL,
    PRIMARY KEY (period, endpoint, bucket),
    KEY nawasync_calls_bucket (period, bucket)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE nawasync_attempts ADD COLUMN /*M! IF NOT EXISTS */ calls MEDIUMTEXT;
UPDATE nawasync_settings SET value = '17' WHERE name = 'schema_version' AND value IN ('12', '13', '14', '15', '16');

-- +goose Down
ALTER TABLE nawasync_attempts DROP COLUMN /*M! IF EXISTS */ calls;
DROP TABLE IF EXISTS nawasync_calls;
DROP TABLE IF EXISTS nawasync_endpoints;
DROP TABLE IF EXISTS nawasync_call_deltas;
