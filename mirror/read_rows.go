package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// readRows appends the rows that a query finds to a slice of snapshot structs, to which into points. It
// does what gorm's Find does, but through the model's own fields, which read JSON without losing digits.
// After each row it calls extra, if not nil, with the values of the columns that are no fields.
func (m *model) readRows(query *gorm.DB, into reflect.Value, extra func(values map[string]any)) error {
	rows, err := query.Model(reflect.New(m.schema.ModelType).Interface()).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	fields, targets := make([]*schema.Field, len(columns)), make([]any, len(columns))
	for i, column := range columns {
		if f := m.schema.FieldsByDBName[column]; f != nil && f.Readable {
			fields[i] = f
		} else {
			targets[i] = new(any) // a column of the host's that is no field
		}
	}
	list := into.Elem()
	for rows.Next() {
		list.Grow(1)
		list.SetLen(list.Len() + 1)
		row := list.Index(list.Len() - 1)
		row.SetZero()
		if err := m.readRow(query.Statement.Context, rows, fields, targets, row); err != nil {
			return err
		}
		if extra != nil {
			extra(hostValues(columns, fields, targets))
		}
	}
	return rows.Err()
}

// hostValues returns the values of the current row's columns that are no fields.
func hostValues(columns []string, fields []*schema.Field, targets []any) map[string]any {
	values := map[string]any{}
	for i, column := range columns {
		if value, ok := targets[i].(*any); ok && fields[i] == nil {
			values[column] = *value
		}
	}
	return values
}

// readRow reads the current one of the rows. fields has nil for the columns that targets already has a
// place for.
func (m *model) readRow(ctx context.Context, rows gorm.Rows, fields []*schema.Field, targets []any, row reflect.Value) error {
	for i, f := range fields {
		if f != nil {
			targets[i] = f.NewValuePool.Get()
		}
	}
	if err := rows.Scan(targets...); err != nil {
		return err
	}
	for i, f := range fields {
		if f == nil {
			continue
		}
		if err := f.Set(ctx, row, targets[i]); err != nil {
			return fmt.Errorf("read column %s: %w", f.DBName, err)
		}
		f.NewValuePool.Put(targets[i])
	}
	return nil
}

// rawColumn is the value of a column as the driver returns it.
type rawColumn struct {
	text []byte
	null bool
}

// Scan implements sql.Scanner.
func (c *rawColumn) Scan(value any) error {
	c.text, c.null = c.text[:0], value == nil
	switch value := value.(type) {
	case nil:
	case []byte:
		c.text = append(c.text, value...)
	case string:
		c.text = append(c.text, value...)
	default: // SQLite stores 5 in a column of text as a number
		text, err := json.Marshal(value)
		c.text = text
		return err
	}
	return nil
}

// columnPool makes a rawColumn for each value, so that fields can be read at the same time.
type columnPool struct{}

func (columnPool) Get() any { return &rawColumn{} }
func (columnPool) Put(any)  {}

// readExactly makes rows be read without the loss of digits that gorm's serializer for JSON has, and
// lets a json.RawMessage be read from a column of text. It changes the model's own schema only.
func (f *field) readExactly() {
	_, serialized := f.Serializer.(schema.JSONSerializer)
	if !serialized && !f.isRawJSON() || serialized && !containsInterface(f.FieldType, nil) && !f.isRawJSON() {
		return
	}
	f.NewValuePool = columnPool{}
	f.Set = func(ctx context.Context, row reflect.Value, value any) error {
		column, ok := value.(*rawColumn)
		if !ok {
			return fmt.Errorf("the value has the type %T", value)
		}
		read := reflect.New(f.FieldType).Elem()
		switch {
		case column.null || len(column.text) == 0:
		case f.isRawJSON():
			target := read
			if read.Kind() == reflect.Pointer {
				read.Set(reflect.New(read.Type().Elem()))
				target = read.Elem()
			}
			target.SetBytes(bytes.Clone(column.text))
		default:
			if err := decodeExact(column.text, read); err != nil {
				return err
			}
		}
		f.ReflectValueOf(ctx, row).Set(read)
		return nil
	}
}

// isRawJSON reports whether the field is a json.RawMessage, or a pointer to one.
func (f *field) isRawJSON() bool {
	return f.IndirectFieldType == reflect.TypeFor[json.RawMessage]() && f.role != roleSecret
}

// rawParam is param for a json.RawMessage, which a driver would store as bytes. No value is NULL, or null if
// the column is NOT NULL.
func (f *field) rawParam(row reflect.Value) any {
	v := f.value(row)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch {
	case v.Kind() != reflect.Pointer && canonicalJSON(v.Bytes()) != canonicalNone:
		return string(v.Bytes())
	case f.NotNull:
		return "null"
	default:
		return nil
	}
}
