package fault_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nawasara/nawasync/fault"
)

// A client classifies the responses of its API.
func Example() {
	classify := func(status int) error {
		err := fmt.Errorf("the server answered %d", status)
		switch status {
		case http.StatusNotFound:
			return fault.WithClass(fault.ClassGone, err)
		case http.StatusTooManyRequests:
			return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: time.Minute, Err: err}
		case http.StatusUnauthorized:
			return &fault.Error{Class: fault.ClassCredentials, Hint: "check the token", Err: err}
		}
		return err
	}
	for _, status := range []int{404, 429, 401, 500} {
		err := classify(status)
		fmt.Printf("%s: %v\n", fault.ClassOf(err), err)
	}
	fmt.Println(errors.As(classify(429), new(*fault.Error)))
	// Output:
	// gone: the server answered 404
	// rate_limited: the server answered 429
	// credentials: the server answered 401 (check the token)
	// error: the server answered 500
	// true
}
