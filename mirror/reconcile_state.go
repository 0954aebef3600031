package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// syncState is what an attempt of a sync leaves to the next one.
type syncState struct {
	Furthest int64         `json:"furthest,omitempty"` // see listingPlace
	Restarts int           `json:"restarts,omitempty"`
	Listing  *listingState `json:"listing,omitempty"` // nil if the listing begins again
}

// listingState is a listing that goes on, or whose missing rows are left.
type listingState struct {
	Cursor   string `json:"cursor,omitempty"`
	Resumed  bool   `json:"resumed,omitempty"`
	Expired  int    `json:"expired,omitempty"`
	Complete bool   `json:"complete,omitempty"`
	// Unproven says that the sets did not fit. The listing then proves nothing.
	Unproven bool `json:"unproven,omitempty"`

	StartedAt    time.Time           `json:"started_at"`
	MaxID        int64               `json:"max_id"`
	FirstLoad    bool                `json:"first_load,omitempty"`
	Listed       int64               `json:"listed"`
	Added        int64               `json:"added,omitempty"`
	Unkeyed      int64               `json:"unkeyed,omitempty"`
	Recorded     int64               `json:"recorded,omitempty"`
	Pages        int                 `json:"pages"`
	Total        int64               `json:"total,omitempty"`
	TotalChanged bool                `json:"total_changed,omitempty"`
	Proof        *Proof              `json:"proof,omitempty"`
	Result       nawasync.SyncResult `json:"result"`

	Seen      *bitmap.Bitmap `json:"seen,omitempty"`
	Outside   *bitmap.Bitmap `json:"outside,omitempty"`
	Unmatched [][]byte       `json:"unmatched,omitempty"`
}

// recall continues what an earlier attempt of the job has left. A state that cannot be read is of no
// use: the listing then begins again.
func (s *reconcile) recall(ctx context.Context) error {
	s.place.began = time.Now()
	if s.attempt == nil {
		return nil
	}
	var state syncState
	found, err := s.attempt.State(ctx, &state)
	var database *host.DatabaseError
	switch {
	case errors.As(err, &database), ctx.Err() != nil:
		return err
	case err != nil:
		s.attempt.Logf("the listing begins again, because the place of the last attempt is lost: %s", err)
		return nil
	case !found:
		return nil
	}
	s.place.furthest, s.place.restarts = state.Furthest, state.Restarts
	l := state.Listing
	if l == nil || (l.Cursor != "" && !s.repo.remote.resumable()) {
		return nil
	}
	s.place.cursor, s.place.resumed, s.place.expired, s.place.complete, s.place.unproven = l.Cursor, l.Resumed, l.Expired, l.Complete, l.Unproven
	s.startedAt, s.maxID, s.firstLoad = l.StartedAt, l.MaxID, l.FirstLoad
	s.listed, s.added, s.unkeyed, s.pages, s.total, s.totalChanged, s.proof = l.Listed, l.Added, l.Unkeyed, l.Pages, l.Total, l.TotalChanged, l.Proof
	s.recordedCount.Store(l.Recorded)
	s.result = l.Result
	var earlier nawasync.SyncResult
	if json.Unmarshal(s.attempt.Job().Result, &earlier) == nil {
		s.result.Samples = earlier.Samples[:min(len(earlier.Samples), maxSamples)]
	}
	if l.Seen != nil && l.Outside != nil {
		s.seen, s.outside = *l.Seen, *l.Outside
	}
	if s.result.Drifted == nil {
		s.result.Drifted = map[string]int64{}
	}
	for _, key := range l.Unmatched {
		s.unmatchedKeys[tracker.Identity(key)] = true
	}
	return nil
}

// remember stores for the next attempt how far the sync is, if err ends this one because of the remote,
// and forgets it otherwise. It returns the error that ends the attempt.
func (s *reconcile) remember(ctx context.Context, err error) error {
	if s.attempt == nil {
		return err
	}
	if err == nil {
		return s.attempt.SetState(nil)
	}
	class := fault.ClassOf(err)
	limited := class == fault.ClassRateLimited
	parked := limited || class == fault.ClassUnavailable // the cursor is not the cause
	switch p := &s.place; {
	case p.complete && !parked:
		return err
	case p.complete, p.cursor != "" && (p.read > 0 || parked):
	case p.cursor != "": // the cursor may be the cause
		p.cursor, p.unproven = "", false
	case limited && p.read > 0:
		if err = s.stoppedShort(err); p.expired == 0 {
			return errors.Join(err, s.attempt.SetState(syncState{Furthest: p.furthest, Restarts: p.restarts}))
		}
	case p.expired == 0:
		return err
	}
	return errors.Join(err, s.storePlace(ctx))
}

// storePlace stores the place in the listing and what was seen. If that is too large, it stores only
// the place.
func (s *reconcile) storePlace(ctx context.Context) error {
	if err := s.findOutside(ctx); err != nil {
		return err
	}
	p := s.place
	l := &listingState{
		Cursor: p.cursor, Resumed: p.resumed, Expired: p.expired, Complete: p.complete, Unproven: p.unproven,
		StartedAt: s.startedAt, MaxID: s.maxID, FirstLoad: s.firstLoad, Listed: s.listed, Added: s.added, Unkeyed: s.unkeyed, Recorded: s.recordedCount.Load(),
		Pages: s.pages, Total: s.total, TotalChanged: s.totalChanged, Proof: s.proof, Result: s.result,
		Seen: &s.seen, Outside: &s.outside,
	}
	l.Result.Samples = nil // they may be large, and are in the job's result
	for key := range s.unmatchedKeys {
		l.Unmatched = append(l.Unmatched, key[:])
	}
	state := syncState{Furthest: p.furthest, Restarts: p.restarts, Listing: l}
	if err := s.attempt.SetState(state); !errors.Is(err, host.ErrStateTooLarge) {
		return err
	}
	if p.cursor == "" || p.complete {
		return s.attempt.SetState(syncState{Furthest: p.furthest, Restarts: p.restarts}) // the listing begins again
	}
	l.Seen, l.Outside, l.Unmatched, l.Unproven = nil, nil, nil, true
	s.attempt.Logf("the %d rows that were seen do not fit into the job's state, so this listing marks no row as missing", s.seen.Len())
	return s.attempt.SetState(state)
}

// findOutside remembers the rows that the pages' Skipped functions exclude from the listing, because
// the functions themselves cannot be stored.
func (s *reconcile) findOutside(ctx context.Context) error {
	if len(s.skipped) == 0 {
		return nil
	}
	where, args := s.inScope()
	for after := int64(0); ; {
		found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
		err := s.repo.db(ctx).Table(s.repo.model.table).Select(s.repo.columns()).
			Where(where+"id > ? AND id <= ?", append(slices.Clone(args), after, s.maxID)...).Order("id").Limit(scanRows).Find(found.Interface()).Error
		if err != nil {
			return fmt.Errorf("read %s: %w", s.repo.model.table, err)
		}
		rows := found.Elem()
		for i := range rows.Len() {
			if s.outsideListing(rows.Index(i)) {
				s.outside.Add(s.repo.model.idOf(rows.Index(i)))
			}
		}
		if rows.Len() < scanRows {
			return nil
		}
		after = s.repo.model.idOf(rows.Index(rows.Len() - 1))
	}
}
