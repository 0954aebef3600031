package mirror_test

import (
	"context"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
)

func TestHeldSyncEmitsAHeldEvent(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	createGadgets(t, h)
	s := &shop{Harness: h, remote: newGadgetRemote()}
	events := make(chan nawasync.Event, 10)
	s.engine = h.Engine(func(c *nawasync.Config) {
		c.Sealer, c.OnEvent = enginetest.Keyring(t, shopKey), func(_ context.Context, e nawasync.Event) { events <- e }
	})
	var err error
	s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: s.remote})
	enginetest.NoError(t, err)
	h.Start(s.engine)
	s.remote.Put(numberedGadgets(20)...)
	s.sync(t)
	<-events
	s.remote.Drop(numberedGadgets(11)...)
	held := s.sync(t)
	if e := <-events; e.Type != nawasync.EventHeld || e.Job.ID != held.ID {
		t.Errorf("event = %s for job %+v, want %s for job %d", e.Type, e.Job, nawasync.EventHeld, held.ID)
	}
}
