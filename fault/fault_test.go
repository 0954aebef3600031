package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/nawasara/nawasync/fault"
)

func TestClassOfIsTheOutermostClassOrWhatTheErrorItselfTells(t *testing.T) {
	t.Parallel()
	cause := errors.New("boom")
	for _, c := range []struct {
		err  error
		want fault.Class
	}{
		{nil, ""},
		{cause, fault.Unclassified},
		{fault.WithClass(fault.Gone, cause), fault.Gone},
		{fmt.Errorf("read: %w", fault.WithClass(fault.Gone, cause)), fault.Gone},
		{fault.WithClass(fault.Transient, fault.WithClass(fault.Conflict, cause)), fault.Transient},
		{&fault.Error{Err: cause}, fault.Unclassified},
		{&fault.Error{Hint: "look there", Err: fault.WithClass(fault.Gone, cause)}, fault.Gone},
		{errors.Join(&fault.Error{Hint: "look there"}, fault.WithClass(fault.Gone, cause)), fault.Gone},
		{fmt.Errorf("read: %w", (*fault.Error)(nil)), fault.Unclassified},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), fault.Timeout},
		{fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: cause}), fault.Transient},
	} {
		if got := fault.ClassOf(c.err); got != c.want {
			t.Errorf("ClassOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
	if fault.WithClass(fault.Gone, nil) != nil {
		t.Error("nil did not stay nil")
	}
}

func TestErrorSaysItsCauseAndItsHint(t *testing.T) {
	t.Parallel()
	cause := errors.New("login refused")
	for want, err := range map[string]*fault.Error{
		"login refused":             {Class: fault.Credentials, Err: cause},
		"login refused (new token)": {Class: fault.Credentials, Err: cause, Hint: "new token"},
		"credentials":               {Class: fault.Credentials},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
	if !errors.Is(fault.WithClass(fault.Gone, cause), cause) {
		t.Error("the cause is lost")
	}
}
