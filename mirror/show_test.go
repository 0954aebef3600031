package mirror_test

import (
	"errors"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// A subject may be denied the instance r, and allowed every other one, which includes R.
func TestRowIsShownForTheInstanceAsItIsSpelledOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		a := newAccounts(t, db).release(1, spellAccount)
		a.ends(a.drain(a.Create(t.Context(), named("Ann"), byUser)), tracker.StatusSuccess, "")
		repository, err := a.engine.Internals(host.NewKey()).Attached("api", "accounts")
		enginetest.NoError(t, err)
		shower := repository.(host.RowShower)
		if row, err := shower.ShowRow(t.Context(), "r", "ann"); err != nil || row.ID == 0 {
			t.Errorf("the row of r: %+v, %v", row, err)
		}
		if row, err := shower.ShowRow(t.Context(), "R", "ann"); !errors.Is(err, tracker.ErrNotFound) {
			t.Errorf("the row of R: %+v, %v", row, err)
		}
	})
}
