package dns

import (
	"context"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/examples/internal/snapshot"
)

// CreateTables creates the snapshot tables if they do not exist. Several processes may call it at the same time.
func CreateTables(ctx context.Context, db *gorm.DB) error {
	return snapshot.CreateTables(ctx, db, map[string]snapshot.Table{
		"cloudflare_zones": {
			Columns: "account KEY NOT NULL, zone_id KEY NOT NULL, name KEY NOT NULL, status VARCHAR(64) NOT NULL, paused BOOLEAN NOT NULL," +
				" plan VARCHAR(255) NOT NULL, owner VARCHAR(255) NOT NULL, name_servers TEXT, updated_at TIMESTAMP",
			Indexes: []string{"account, name"},
		},
		"cloudflare_records": {
			Columns: "account KEY NOT NULL, zone KEY NOT NULL, rid KEY, name KEY NOT NULL, type VARCHAR(16) NOT NULL, content TEXT NOT NULL," +
				" proxied BOOLEAN NOT NULL, ttl BIGINT NOT NULL, priority BIGINT, comment TEXT NOT NULL, tags TEXT, proxiable BOOLEAN NOT NULL," +
				" modified_on TIMESTAMP, updated_at TIMESTAMP",
			Indexes: []string{"account, zone, name"},
		},
	})
}
