-- Where the feeds of repositories go on, and the webhook requests that were accepted lately. cursor_value is sealed
-- if there is a Sealer. A delivery is a hash of what identifies a signed request, so that none is accepted
-- twice; it is kept as long as its signature is valid.
-- +goose Up
CREATE TABLE IF NOT EXISTS nawasync_cursors (
    service       VARCHAR(50) NOT NULL,
    type          VARCHAR(50) NOT NULL,
    instance      VARCHAR(255) NOT NULL,
    cursor_value  MEDIUMBLOB NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (service, type, instance)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS nawasync_deliveries (
    delivery      VARCHAR(64) NOT NULL PRIMARY KEY,
    received_at   BIGINT NOT NULL,
    KEY nawasync_deliveries_received (received_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
UPDATE nawasync_settings SET value = '16' WHERE name = 'schema_version' AND value IN ('12', '13', '14', '15');

-- +goose Down
DROP TABLE IF EXISTS nawasync_deliveries;
DROP TABLE IF EXISTS nawasync_cursors;
