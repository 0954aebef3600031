package tracker

import (
	"context"
	"errors"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// A scan reads its jobs in chunks of about chunkTime, or of what is left of its time, so that it can stop in time,
// and so that a chunk is short even on a database that does not stop it.
const (
	chunkTime  = 100 * time.Millisecond
	firstChunk = 2_000 // jobs of the first chunk of a search for one text
	minChunk   = 50
	maxChunk   = 40_000
	// SQLite's drivers may ignore the end of the context, so a chunk must stay short even if its jobs have
	// much longer texts than those of the chunk before.
	maxChunkSQLite = 2_000
)

// scan reads the jobs of the walk one by one. It stops early at the limits of a search, and at a chunk that
// the database stops.
func (w *walk) scan(ctx context.Context) error {
	if w.reader.scan != nil && !w.plan.few {
		done, err := w.reader.scan(ctx)
		if err != nil {
			return err
		}
		defer done()
	}
	begin := w.reader.watch()
	for size := w.firstChunk(); len(w.ids) <= w.limit; {
		chunk := min(size, maxSearched-int(w.searched))
		chunkBegin := w.reader.watch()
		left := w.maxTime - chunkBegin.Sub(begin)
		if chunk == 0 || (w.searched > 0 && left < w.maxTime/10) { // what is read in less is not worth a statement
			return w.stop(ctx)
		}
		n, err := w.readChunk(ctx, chunk)
		if errors.Is(err, sqlkit.ErrTooSlow) && chunk > minChunk {
			size = max(chunk/10, minChunk)
			if w.searched > 0 {
				return w.stop(ctx)
			}
			continue
		}
		if err != nil || n < int64(chunk) {
			return err
		}
		end := w.reader.watch()
		size = nextChunk(size, end.Sub(chunkBegin), min(chunkTime, w.maxTime-end.Sub(begin)), w.maxChunk())
	}
	return nil
}

// firstChunk returns the number of jobs of the first chunk: the more texts it searches for, the fewer.
func (w *walk) firstChunk() int {
	return max(minChunk, min(firstChunk/max(1, w.plan.texts), w.maxChunk()))
}

func (w *walk) maxChunk() int {
	if w.reader.dialect.Name == "sqlite" {
		return maxChunkSQLite
	}
	return maxChunk
}

// nextChunk returns how many jobs take a time if size took as long as it did. It changes at most
// fivefold, because the next jobs may take longer.
func nextChunk(size int, took, wanted time.Duration, most int) int {
	next := float64(size) * 5
	if took > 0 {
		next = min(next, float64(size)*float64(wanted)/float64(took))
	}
	return min(max(int(next), size/5, minChunk), most)
}
