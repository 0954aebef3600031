package remote

import "context"

// Allow is allow.
func (r *Remote) Allow(ctx context.Context, scope string) (done func(connErr, ok bool, object string) error, err error) {
	return r.allow(ctx, scope)
}
