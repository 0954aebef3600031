package tracker

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// DeletedAt is the time at which a snapshot row was deleted. The zero value means that it was not. It
// is stored as whole microseconds since 1970 UTC, or NULL. gorm's queries for a struct with a field of
// this type leave out deleted rows; those with Unscoped return them too.
type DeletedAt struct{ time.Time }

// Value returns the microseconds, or nil for the zero value.
func (t DeletedAt) Value() (driver.Value, error) { return sqlkit.Micros(t.Time), nil }

// Scan reads microseconds or NULL.
func (t *DeletedAt) Scan(value any) error {
	switch value := value.(type) {
	case nil:
		t.Time = time.Time{}
	case int64:
		t.Time = sqlkit.FromMicros(value)
	case []byte:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return fmt.Errorf("scan a DeletedAt: %q is not a number of microseconds", value)
		}
		t.Time = sqlkit.FromMicros(n)
	default:
		return fmt.Errorf("scan a DeletedAt: the column has type %T; declare it as StatusColumns does", value)
	}
	return nil
}

// GormDataType returns the type of the column, for tables that gorm creates.
func (DeletedAt) GormDataType() string { return "bigint" }

// QueryClauses makes gorm leave out deleted rows.
func (DeletedAt) QueryClauses(f *schema.Field) []clause.Interface {
	return []clause.Interface{gorm.SoftDeleteQueryClause{Field: f}}
}
