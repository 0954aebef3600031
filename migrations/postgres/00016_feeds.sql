-- Where the feeds of repositories go on, and the webhook requests that were accepted lately. cursor_value is sealed
-- if there is a Sealer. A delivery is a hash of what identifies a signed request, so that none is accepted
-- twice; it is kept as long as its signature is valid.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_cursors (
    service       TEXT NOT NULL,
    type          TEXT NOT NULL,
    instance      TEXT NOT NULL,
    cursor_value  BYTEA NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (service, type, instance)
);
CREATE TABLE IF NOT EXISTS nawasync_deliveries (
    delivery      TEXT NOT NULL PRIMARY KEY,
    received_at   BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS nawasync_deliveries_received ON nawasync_deliveries (received_at);
UPDATE nawasync_settings SET value = '16' WHERE name = 'schema_version' AND value IN ('12', '13', '14', '15');

-- +goose Down
DROP TABLE IF EXISTS nawasync_deliveries;
DROP TABLE IF EXISTS nawasync_cursors;
