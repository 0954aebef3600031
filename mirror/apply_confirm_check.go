package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
)

// maxWitnesses is how many listed objects are asked for before the remote's answers count as wrong.
// More than one, because one may just have been deleted.
const maxWitnesses = 3

// checkAnswers checks that the remote finds an object that was listed. If it does not, it may answer
// "gone" for every object, for example because of a wrong address or a lost permission, and the
// rows must not be deleted. In a scope without a listed object, the scope itself must exist.
func (c *confirmation) checkAnswers(ctx context.Context, ids []int64) error {
	known := len(c.witnesses) > 0
	found, err := c.askWitnesses(ctx)
	if err == nil && !found && known {
		c.witnesses = nil // they were read a while ago and may be gone by now
		found, err = c.askWitnesses(ctx)
	}
	if err != nil || found {
		return err
	}
	if len(c.witnesses) > 0 {
		return c.distrust(fmt.Sprintf("the remote answers that %.80q does not exist, although it was listed, so its answers about missing objects cannot be trusted;"+
			" check the remote's address and the permissions of its credentials, the next sync tries again", c.repo.model.target(c.witnesses[0])))
	}
	return c.checkScope(ctx, ids)
}

// distrust returns the error that ends the job without further deletions.
func (c *confirmation) distrust(reason string) error {
	return nawasync.Permanent(fmt.Errorf("%d missing rows were not deleted: %s", int64(c.total)-c.counts.Deleted, reason))
}

// askWitnesses calls Get for a listed object until one is found. One that the remote does not show to these
// credentials says nothing.
func (c *confirmation) askWitnesses(ctx context.Context) (found bool, err error) {
	if len(c.witnesses) == 0 {
		if err := c.readWitnesses(ctx); err != nil {
			return false, err
		}
	}
	var forbidden error
	for i, row := range c.witnesses {
		_, err := c.repo.getRemote(ctx, row)
		var other *otherObjectError
		switch {
		case err == nil, errors.As(err, &other) && other.remade:
			c.witnesses[0], c.witnesses[i] = c.witnesses[i], c.witnesses[0]
			return true, nil
		case errors.Is(err, errors.ErrUnsupported): // only rows are deleted that an operator has released
			return true, nil
		case fault.ClassOf(err) != fault.ClassGone && other == nil:
			err = fmt.Errorf("get %q, which was listed, to check the remote's answers: %w", c.repo.model.target(row), err)
			if fault.ClassOf(err) != fault.ClassForbidden {
				return false, err
			}
			forbidden = err
		}
	}
	return false, forbidden
}

// readWitnesses reads the rows of the scope that were synced last and are not missing.
func (c *confirmation) readWitnesses(ctx context.Context) error {
	where, args := c.inScope()
	found := reflect.New(reflect.SliceOf(c.repo.model.schema.ModelType))
	err := c.repo.db(ctx).Table(c.repo.model.table).Select(c.repo.columns()).
		Where(where+"sync_status = 'synced' AND missing_since IS NULL AND last_synced_at IS NOT NULL", args...).
		Order("last_synced_at DESC, id DESC").Limit(maxWitnesses).Find(found.Interface()).Error
	if err != nil {
		return fmt.Errorf("read %s: %w", c.repo.model.table, err)
	}
	c.witnesses = nil
	for i := range found.Elem().Len() {
		c.witnesses = append(c.witnesses, found.Elem().Index(i))
	}
	return nil
}

// checkScope checks a scope without a listed object: its rows may be deleted if the remote confirms
// that the scope exists, and they are three or fewer or an operator has released all of them.
func (c *confirmation) checkScope(ctx context.Context, ids []int64) error {
	where, args := c.inScope()
	var rows []int64
	err := c.repo.db(ctx).Table(c.repo.model.table).Where(where+"last_synced_at IS NOT NULL AND deleted_at IS NULL", args...).Limit(smallScope+1).
		Pluck("id", &rows).Error
	if err != nil {
		return fmt.Errorf("read %s: %w", c.repo.model.table, err)
	}
	allowed := len(rows) <= smallScope
	if !allowed {
		allowed = true
		for _, id := range ids {
			allowed = allowed && c.decisions.released.Has(id)
		}
	}
	exists, known, err := c.repo.remote.scopeExists(ctx, c.scope)
	switch {
	case err != nil:
		return fmt.Errorf("ask whether the scope exists, because all of its objects are missing: %w", err)
	case known && !exists:
		return c.distrust("the remote answers that the whole scope does not exist; check the remote's address and the permissions of its credentials," +
			" or delete the rows by hand if the scope was removed")
	case !known:
		return c.distrust("no object of the scope is listed any more, so nothing shows that the remote's answers can be trusted;" +
			" delete the rows by hand, or implement mirror.ScopeRemote in the adapter")
	case !allowed:
		return c.distrust("no object of the scope is listed any more; sync the scope, then release or reject the held sync")
	}
	return nil
}
