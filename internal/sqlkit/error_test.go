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
