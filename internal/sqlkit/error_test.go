package sqlkit_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

type stateError string

func (e stateError) Error() string    { return "ERROR (SQLSTATE " + string(e) + ")" }
func (e stateError) SQLState() string { return string(e) }

func TestUnavailableDatabaseIsToldFromOtherErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		stateError("57P01"):                                               true,
		stateError("08006"):                                               true,
		stateError("23505"):                                               false,
		stateError("40001"):                                               false,
		fmt.Errorf("read: %w", driver.ErrBadConn):                         true,
		fmt.Errorf("read: %w", io.ErrUnexpectedEOF):                       true,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}:               true,
		errors.New("invalid connection"):                                  true,
		errors.New("Error 1053 (08S01): Server shutdown in progress"):     true,
		errors.New("Error 1062 (23000): Duplicate entry"):                 false,
		context.Canceled:                                                  false,
		fmt.Errorf("write: %w", context.DeadlineExceeded):                 false,
		errors.New("UNIQUE constraint failed: gadgets.name"):              false,
		errors.New("no such table: gadgets"):                              false,
		fmt.Errorf("row 7: %w", errors.New("value out of range of type")): false,
	} {
		if got := sqlkit.IsUnavailable(err); got != want {
			t.Errorf("IsUnavailable(%v) = %v, want %v", err, got, want)
		}
	}
	if sqlkit.IsUnavailable(nil) {
		t.Error("nil is unavailable")
	}
}

func TestRefusedRowIsToldFromOtherErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		stateError("22001"):                           true,
		stateError("22003"):                           true,
		stateError("23514"):                           true,
		stateError("54000"):                           true,
		stateError("40001"):                           false,
		stateError("55P03"):                           false,
		stateError("57014"):                           false,
		stateError("42703"):                           false,
		fmt.Errorf("insert: %w", stateError("23502")): true,
		errors.New("Error 1406 (22001): Data too long for column 'name' at row 1"):       true,
		errors.New("Error 1264 (22003): Out of range value for column 'quota' at row 1"): true,
		errors.New("Error 4025 (23000): CONSTRAINT `short` failed"):                      true,
		errors.New("Error 1213 (40001): Deadlock found when trying to get lock"):         false,
		errors.New("Error 1205 (HY000): Lock wait timeout exceeded"):                     false,
		errors.New("constraint failed: CHECK constraint failed: short (275)"):            true,
		errors.New("database is locked (5) (SQLITE_BUSY)"):                               false,
		errors.New("no such table: gadgets"):                                             false,
		context.Canceled:                                                                 false,
		nil:                                                                              false,
	} {
		if got := sqlkit.IsRowRefused(err); got != want {
			t.Errorf("IsRowRefused(%v) = %v, want %v", err, got, want)
		}
	}
}
