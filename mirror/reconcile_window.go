package mirror

import (
	"context"
	"math"
	"slices"
)

const (
	// windowProbe is how many rows a guess reads first, unless the last one was right.
	windowProbe = 64
	// windowTries is how many windows are read for one batch.
	windowTries = 4
)

// rowWindow guesses which rows belong to the next batch. Most remotes list their objects in the same order
// every time, so that the rows that a first sync inserted one after the other are needed one after the other.
// To read them in the order of their ids costs the database a fifth of finding each by its key.
type rowWindow struct {
	from       int64 // where the next batch's rows begin: after this id, or before it if descending
	descending bool
	sure       bool  // the last guess was right
	wrong      int   // wrong guesses in a row
	low, high  int64 // of the ids of the last batch whose guess was wrong
}

// batchMatch finds the rows of a batch by their heads.
type batchMatch struct {
	s     *reconcile
	d     *batchDiff
	heads *headReader
	index keyIndex // of the batch; empty until it is needed
	state []itemState
	left  int // number of items without a row so far
	next  int // item after the last one that was found

	guessed   int   // items that the window has found
	hits      int   // items that the current statement has found
	last, hit int64 // ids of its last row, and of the last one that was found
	low, high int64 // of the ids that were found
}

// itemState says what is known about the row of an item.
type itemState byte

const (
	itemUnmatched itemState = iota
	itemMatched
	itemUnknown // the row has to be read to find out
)

// matchHeads finds the rows of a batch whose pages fetched all columns, and compares them. It returns the
// items that are left: those without a row, and those whose row must be read to find out.
func (s *reconcile) matchHeads(ctx context.Context, d *batchDiff) (unmatched, unknown []listedItem, err error) {
	n := len(d.batch.ready)
	m := &batchMatch{s: s, d: d, heads: s.newHeadReader(d.compared), state: make([]itemState, n), left: n, low: math.MaxInt64}
	d.counted.seen = slices.Grow(d.counted.seen, n)
	if err := m.guess(ctx, &s.window); err != nil {
		return nil, nil, err
	}
	m.guessed = n - m.left
	if m.left > 0 {
		rest := make([]listedItem, 0, m.left)
		for i, it := range d.batch.ready {
			if m.state[i] == itemUnmatched {
				rest = append(rest, it)
			}
		}
		if err := m.heads.ofKeys(ctx, rest, func() error { return m.take(ctx) }); err != nil {
			return nil, nil, err
		}
	}
	if d.batch.following {
		s.window.learn(m)
	}
	for i, it := range d.batch.ready {
		switch m.state[i] {
		case itemUnmatched:
			unmatched = append(unmatched, it)
		case itemUnknown:
			unknown = append(unknown, it)
		}
	}
	return unmatched, unknown, nil
}

// guess reads the rows that the window expects the batch to have.
func (m *batchMatch) guess(ctx context.Context, w *rowWindow) error {
	if !m.d.batch.following {
		return nil
	}
	from, sure := w.from, w.sure
	for range windowTries {
		limit := m.left + m.left/16 + 16
		if !sure {
			limit = min(limit, windowProbe)
		}
		m.hits, m.hit, m.last = 0, 0, 0
		rows, err := m.heads.inRange(ctx, from, w.descending, limit, func() error { return m.take(ctx) })
		if err != nil {
			return err
		}
		if m.hits > 0 {
			w.from = m.hit
		}
		from, sure = m.last, 2*m.hits >= rows && rows > 0
		if !sure || rows < limit || 8*m.left < len(m.state) {
			break
		}
	}
	return nil
}

// learn corrects the window after a batch.
func (w *rowWindow) learn(m *batchMatch) {
	switch {
	case m.high == 0: // the batch has no rows
		return
	case 2*m.guessed >= len(m.state):
		w.sure, w.wrong = true, 0
		return
	}
	w.descending = w.wrong > 0 && m.high < w.low
	w.from = m.high
	if w.descending {
		w.from = m.low
	}
	w.sure, w.low, w.high = false, m.low, m.high
	w.wrong++
}

// take notes the current head, if it is that of an item.
func (m *batchMatch) take(ctx context.Context) error {
	head, ready := &m.heads.head, m.d.batch.ready
	i := m.next
	m.last = head.id
	if i >= len(ready) || ready[i].key != head.identity { // not in the order of the batch
		if m.index.slots == nil {
			m.index.reset(len(ready))
			for i := range ready {
				m.index.add(&ready[i].key)
			}
		}
		at, found := m.index.find(&head.identity)
		if !found {
			return nil
		}
		i = at
	}
	if m.state[i] != itemUnmatched {
		return nil
	}
	m.left--
	m.hits++
	m.next, m.hit, m.low, m.high = i+1, head.id, min(m.low, head.id), max(m.high, head.id)
	match, err := m.heads.compare(ctx, &ready[i])
	switch {
	case err != nil:
		return err
	case match == headUnknown:
		m.state[i] = itemUnknown
		return nil
	case match == headSame:
		m.d.counted.result.Unchanged++
	default:
		m.d.changed[head.id] = ready[i]
	}
	m.state[i] = itemMatched
	m.d.counted.seen = append(m.d.counted.seen, head.id)
	return nil
}
