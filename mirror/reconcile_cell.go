package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
)

// headCell holds the value of one column of the current head, and compares it with the field of an object.
type headCell struct {
	*field

	number sql.NullInt64 // of a field that is a plain integer, or a pointer to one
	plain  bool
	value  any           // of any other field, as gorm reads it
	row    reflect.Value // where the field reads value to
}

func newHeadCell(f *field, row reflect.Value) *headCell {
	kind := f.IndirectFieldType
	depth := 0
	for t := f.FieldType; t != kind; t = t.Elem() {
		depth++
	}
	return &headCell{field: f, row: row, plain: f.Serializer == nil && kind.PkgPath() == "" && reflect.Zero(kind).CanInt() && depth <= 1}
}

// target returns the place for the next value.
func (c *headCell) target() any {
	if c.plain {
		return (*scannedNumber)(&c.number)
	}
	if c.value == nil {
		c.value = c.NewValuePool.Get()
	}
	return c.value
}

// equal reports whether the current value is that of an object.
func (c *headCell) equal(ctx context.Context, object reflect.Value) (bool, error) {
	if !c.plain {
		if err := c.Set(ctx, c.row, c.value); err != nil {
			return false, fmt.Errorf("read column %s: %w", c.column, err)
		}
		c.NewValuePool.Put(c.value)
		c.value = nil
		return c.field.equal(object, c.row), nil
	}
	v := c.field.value(object)
	if v.Kind() != reflect.Pointer {
		return v.Int() == c.number.Int64, nil // NULL is read as 0
	}
	if v.IsNil() || !c.number.Valid {
		return v.IsNil() == !c.number.Valid, nil
	}
	return v.Elem().Int() == c.number.Int64, nil
}

// scannedNumber is a number or NULL.
type scannedNumber sql.NullInt64

// Scan implements sql.Scanner, without the reflection of sql.NullInt64.
func (n *scannedNumber) Scan(value any) error {
	if number, ok := value.(int64); ok {
		n.Int64, n.Valid = number, true
		return nil
	}
	return (*sql.NullInt64)(n).Scan(value)
}
