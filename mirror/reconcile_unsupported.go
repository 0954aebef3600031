package mirror

import (
	"context"
	"errors"
)

// What a repository knows of its Remote's Get.
const (
	getUnknown int32 = iota
	getSupported
	getUnsupported
)

// cannotConfirm reports whether rows have been missing for long enough and the remote cannot read a single
// object: its Get returns errors.ErrUnsupported. A process asks once, for the first missing row.
func (s *reconcile) cannotConfirm(ctx context.Context, missing *missingRows) (bool, error) {
	known := s.repo.getSupport
	if !missing.due || missing.undecided() == 0 {
		return false, nil
	}
	if known.Load() != getUnknown {
		return known.Load() == getUnsupported, nil
	}
	for id := range missing.rows.All() {
		rows, _, err := s.lockRows(ctx, s.repo.db(ctx), []int64{id}, false)
		if err != nil {
			return false, err
		}
		if rows.Len() == 0 {
			continue // it was deleted since
		}
		_, err = s.repo.getRemote(ctx, rows.Index(0))
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case errors.Is(err, errors.ErrUnsupported):
			known.Store(getUnsupported)
		default:
			known.Store(getSupported)
		}
		break
	}
	return known.Load() == getUnsupported, nil
}
