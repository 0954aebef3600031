package mirror

import (
	"context"
	"fmt"
)

// emptied reports whether everything that was known of the scope is missing. This is more often
// the sign of a failure than of deletions.
func (m *missingRows) emptied() bool { return m.listed == 0 && m.undecided() > 0 }

// smallScope is how many rows a scope may have so that a sync which finds all of them missing is
// not held, if the scope itself is known to exist.
const smallScope = 3

// holdReason returns why an operator has to decide on the missing rows, or "".
func (s *reconcile) holdReason(ctx context.Context, missing *missingRows) (string, error) {
	undecided, limit := missing.undecided(), s.repo.limit(missing.everSynced)
	if undecided > limit {
		return fmt.Sprintf("%d of %d rows are not in the listing, over the limit of %d", undecided, missing.everSynced, limit), nil
	}
	if cannot, err := s.cannotConfirm(ctx, missing); cannot || err != nil {
		return fmt.Sprintf("%d of %d rows are not in the listing, and the remote has no Get that could confirm that their objects are gone", undecided, missing.everSynced), err
	}
	if !missing.emptied() {
		return "", nil
	}
	present := missing.everSynced <= smallScope && s.distinct() > s.unkeyed // a scope that lists new objects exists
	if missing.everSynced <= smallScope && !present {
		exists, known, err := s.repo.remote.scopeExists(ctx, s.scope)
		if err != nil {
			return "", fmt.Errorf("ask whether the scope exists, because all of its rows are missing: %w", err)
		}
		present = exists && known
	}
	if present {
		return "", nil
	}
	return fmt.Sprintf("%d of %d rows are not in the listing, which has no object that was known before", undecided, missing.everSynced), nil
}
