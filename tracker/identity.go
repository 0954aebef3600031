package tracker

import (
	"database/sql/driver"
	"fmt"
)

// Identity makes a snapshot row unique in its table. Package mirror computes it; see
// nawasync.SyncStatus.
type Identity [32]byte

// Value returns the bytes.
func (i Identity) Value() (driver.Value, error) { return i[:], nil }

// Scan reads 32 bytes. NULL and an empty value are the zero Identity.
func (i *Identity) Scan(value any) error {
	var data []byte
	switch value := value.(type) {
	case nil:
	case []byte:
		data = value
	case string:
		data = []byte(value)
	default:
		return fmt.Errorf("scan an Identity: the column has type %T; declare it as StatusColumns does", value)
	}
	if len(data) != 0 && len(data) != len(i) {
		return fmt.Errorf("scan an Identity: the column has %d bytes instead of %d", len(data), len(i))
	}
	*i = Identity{}
	copy(i[:], data)
	return nil
}

// GormDataType returns the type of the column, for tables that gorm creates.
func (Identity) GormDataType() string { return "bytes" }
