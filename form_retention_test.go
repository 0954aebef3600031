package nawasync_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

func TestFormsThatWereSentArePrunedAfterADay(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		h.Start(e)
		store := enginetest.Store(e)
		_, err := store.ClaimForm(t.Context(), "token", "request")
		enginetest.NoError(t, err)
		h.Skip(23 * time.Hour)
		_, err = store.Form(t.Context(), "token")
		enginetest.NoError(t, err)
		h.Skip(2 * time.Hour)
		if _, err := store.Form(t.Context(), "token"); !errors.Is(err, tracker.ErrNotFound) {
			t.Errorf("after 25 hours: error = %v, want ErrNotFound", err)
		}
	})
}
