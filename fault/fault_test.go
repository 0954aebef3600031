package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/nawasara/nawasync/fault"
)

func TestClassOfReturnsTheOutermostClassOrClassifiesTheCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("boom")
	for _, c := range []struct {
		err  error
		want fault.Class
	}{
		{nil, ""},
		{cause, fault.ClassUnclassified},
		{fault.WithClass(fault.ClassGone, cause), fault.ClassGone},
		{fmt.Errorf("read: %w", fault.WithClass(fault.ClassGone, cause)), fault.ClassGone},
		{fault.WithClass(fault.ClassTransient, fault.WithClass(fault.ClassConflict, cause)), fault.ClassTransient},
		{&fault.Error{Err: cause}, fault.ClassUnclassified},
		{&fault.Error{Hint: "look there", Err: fault.WithClass(fault.ClassGone, cause)}, fault.ClassGone},
		{errors.Join(&fault.Error{Hint: "look there"}, fault.WithClass(fault.ClassGone, cause)), fault.ClassGone},
		{fmt.Errorf("read: %w", (*fault.Error)(nil)), fault.ClassUnclassified},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), fault.ClassTimeout},
		{fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: cause}), fault.ClassTransient},
	} {
		if got := fault.ClassOf(c.err); got != c.want {
			t.Errorf("ClassOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
	if fault.WithClass(fault.ClassGone, nil) != nil {
		t.Error("WithClass(nil) is not nil")
	}
}

func TestErrorTextHasTheCauseAndTheHint(t *testing.T) {
	t.Parallel()
	cause := errors.New("login refused")
	for want, err := range map[string]*fault.Error{
		"login refused":             {Class: fault.ClassCredentials, Err: cause},
		"login refused (new token)": {Class: fault.ClassCredentials, Err: cause, Hint: "new token"},
		"credentials":               {Class: fault.ClassCredentials},
	} {
		if err.Error() != want {
			t.Errorf("error text is %q, want %q", err.Error(), want)
		}
	}
	if !errors.Is(fault.WithClass(fault.ClassGone, cause), cause) {
		t.Error("errors.Is does not find the cause")
	}
}
