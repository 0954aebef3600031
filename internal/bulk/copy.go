package bulk

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// ErrNoCopy is returned if the database or its driver does not support COPY.
var ErrNoCopy = errors.New("the database driver does not support COPY")

// Copy adds the rows with PostgreSQL's COPY, in the transaction that is open on conn. COPY takes a
// third of the time of INSERT. A duplicate key is an error (sqlkit.IsUniqueViolation) and aborts
// the transaction. If COPY is not supported, Copy returns ErrNoCopy and does nothing.
func (t *Table) Copy(tx *gorm.DB, conn *sql.Conn, columns []string, rows [][]any) error {
	if t.dialect != "postgres" || conn == nil {
		return ErrNoCopy
	}
	kinds := make([]string, len(columns))
	for i, c := range columns {
		var err error
		if kinds[i], err = t.typeOf(tx, c); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	for n, row := range rows {
		if n == 1 {
			text.Grow(len(rows) * (text.Len() + text.Len()/4))
		}
		for i, v := range row {
			if i > 0 {
				text.WriteByte('\t')
			}
			if err := copyValue(&text, v, kinds[i]); err != nil {
				return fmt.Errorf("column %s: %w", columns[i], err)
			}
		}
		text.WriteByte('\n')
	}
	query := "COPY " + t.name + " (" + t.list(tx, columns) + ") FROM STDIN"
	return conn.Raw(func(driverConn any) error { return copyFrom(tx.Statement.Context, driverConn, &text, query) })
}

// copyFrom calls CopyFrom of pgconn by reflection, because the library does not import a driver.
// Reflection works because no parameter of CopyFrom has a type of the driver.
func copyFrom(ctx context.Context, driverConn any, from io.Reader, query string) error {
	v := reflect.ValueOf(driverConn)
	for _, name := range []string{"Conn", "PgConn"} { // methods of stdlib.Conn and pgx.Conn
		method := v.MethodByName(name)
		if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
			return ErrNoCopy
		}
		v = method.Call(nil)[0]
	}
	method := v.MethodByName("CopyFrom")
	if !method.IsValid() || method.Type().NumOut() != 2 {
		return ErrNoCopy
	}
	call := reflect.TypeFor[func(context.Context, io.Reader, string)]()
	for i := range call.NumIn() {
		if method.Type().NumIn() != call.NumIn() || method.Type().In(i) != call.In(i) {
			return ErrNoCopy
		}
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(from), reflect.ValueOf(query)})
	if out[1].IsNil() {
		return nil
	}
	err, ok := reflect.TypeAssert[error](out[1])
	if !ok {
		return ErrNoCopy
	}
	return err
}

var copyEscapes = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r")

// copyValue writes a value in the text format of COPY. kind is the type of the column.
func copyValue(b *bytes.Buffer, v any, kind string) error {
	value, err := v, error(nil)
	switch v.(type) {
	case nil, string, int64, float64, bool, []byte, time.Time: // as they are
	default:
		if value, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
			return fmt.Errorf("a value of type %T %w: %w", v, ErrValue, err)
		}
	}
	switch x := value.(type) {
	case nil:
		b.WriteString(`\N`)
	case string:
		err = copyText(b, x)
	case int64:
		b.Write(strconv.AppendInt(b.AvailableBuffer(), x, 10))
	case float64:
		b.Write(strconv.AppendFloat(b.AvailableBuffer(), x, 'g', -1, 64))
	case bool:
		b.Write(strconv.AppendBool(b.AvailableBuffer(), x))
	case []byte:
		if kind == "bytea" {
			b.WriteString(`\\x`)
			b.Write(hex.AppendEncode(b.AvailableBuffer(), x))
		} else {
			err = copyText(b, string(x))
		}
	case time.Time:
		b.Write(x.AppendFormat(b.AvailableBuffer(), timeFormat))
	default:
		err = fmt.Errorf("a value of type %T %w", value, ErrValue)
	}
	return err
}

// copyText writes a text with the escapes of COPY.
func copyText(b *bytes.Buffer, text string) error {
	if !strings.ContainsAny(text, "\\\t\n\r") {
		b.WriteString(text)
		return nil
	}
	_, err := copyEscapes.WriteString(b, text)
	return err
}
