package mirror_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

// A dispatch in a transaction of the host locks rows until the transaction ends: that of the object,
// and those of the job and the unique key with which it was coalesced. At MariaDB's default isolation
// level, a lookup without a unique index would also lock the gaps between rows, and with them other work.
func TestChangeOrSyncInAnOpenHostTransactionDelaysNoOtherWork(t *testing.T) {
	t.Parallel()
	syncOne := func(t *testing.T, s *shop, tx *gorm.DB) (*tracker.Job, error) {
		return s.repo.WithTx(tx).SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
	}
	nothing := func(*testing.T, *shop, <-chan struct{}) {}
	cases := []struct {
		name string
		open func(t *testing.T, s *shop, end <-chan struct{})
		do   func(t *testing.T, s *shop, tx *gorm.DB) (*tracker.Job, error)
	}{
		{"update", nothing, func(t *testing.T, s *shop, tx *gorm.DB) (*tracker.Job, error) {
			return s.repo.WithTx(tx).Update(t.Context(), s.row(t, "g0000"), setQuota(5), byUser)
		}},
		{"sync", nothing, syncOne},
		{"sync coalesced with a queued one", func(t *testing.T, s *shop, _ <-chan struct{}) {
			_, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", nawasync.Options{By: "user:7", Delay: time.Hour})
			enginetest.NoError(t, err)
		}, syncOne},
		{"sync coalesced with a running one", startEndlessSync, syncOne},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, level := range []sql.IsolationLevel{sql.LevelDefault, sql.LevelReadCommitted} {
				t.Run(level.String(), func(t *testing.T) {
					enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
						s := newShop(t, h)
						s.remote.Put(numberedGadgets(20)...)
						s.remote.Put(gadget{Instance: "two", Name: "a"})
						s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
						testOpenTransactionDelaysNothing(t, s, level, c.open, c.do)
					})
				})
			}
		})
	}
}

// startEndlessSync starts a sync of the instance "one" whose listing ends with the channel.
func startEndlessSync(t *testing.T, s *shop, end <-chan struct{}) {
	listing := make(chan struct{})
	var pages atomic.Int64
	s.remote.beforePage(func(int) {
		if pages.Add(1) == 1 { // later listings are those of other syncs
			close(listing)
			<-end
		}
	})
	_, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
	enginetest.NoError(t, err)
	<-listing
}

func testOpenTransactionDelaysNothing(t *testing.T, s *shop, level sql.IsolationLevel,
	open func(*testing.T, *shop, <-chan struct{}), do func(*testing.T, *shop, *gorm.DB) (*tracker.Job, error),
) {
	running, finish, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.remote.beforeCall(func(call, name string) error {
		if call == "update" && name == "g0019" {
			close(running)
			<-finish
		}
		return nil
	})
	long := s.update(t, s.row(t, "g0019"), setQuota(1))
	<-running
	open(t, s, end)
	tx := s.DB.Begin(&sql.TxOptions{Isolation: level})
	enginetest.NoError(t, tx.Error)
	defer tx.Rollback()
	job, err := do(t, s, tx)
	enginetest.NoError(t, err)
	// None of this may wait for the transaction, which stays open until all of it is done.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	close(finish)
	others := []*tracker.Job{long}
	collect := func(job *tracker.Job, err error) {
		t.Helper()
		enginetest.NoError(t, err)
		others = append(others, job)
	}
	for n := range 5 {
		collect(s.repo.Update(ctx, s.row(t, fmt.Sprintf("g%04d", n+1)), setQuota(n), byUser))
		collect(s.repo.Create(ctx, gadget{Instance: "one", Name: fmt.Sprint("new", n)}, byUser))
		collect(s.repo.Delete(ctx, s.row(t, fmt.Sprintf("g%04d", n+6)), byUser))
		collect(s.repo.SyncNow(ctx, gadget{Instance: "two"}, "", byUser))
	}
	for _, job := range others {
		s.waitStatus(t, job, tracker.StatusSuccess)
	}
	for _, text := range []string{"jobs could not be claimed", "an outcome could not be written"} {
		if strings.Contains(s.Log.String(), text) {
			t.Errorf("the log says %q although only one transaction of the host is open", text)
		}
	}
	close(end)
	enginetest.NoError(t, tx.Commit().Error)
	s.waitStatus(t, job, tracker.StatusSuccess)
}
