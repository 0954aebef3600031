package nawasync

import "time"

// Tuning are the actors' times, for tests.
type Tuning struct {
	Relay, Sweep, Beat, Trust, Patience, Fold, Prune, Schedule, Recheck time.Duration
	RungCap                                                             int
}

// NewTuned is New with other times; zero fields keep theirs.
func NewTuned(c Config, t Tuning) (*Engine, error) {
	own := defaultTuning
	for _, f := range []struct {
		to   *time.Duration
		from time.Duration
	}{
		{&own.relay, t.Relay},
		{&own.sweep, t.Sweep},
		{&own.beat, t.Beat},
		{&own.trust, t.Trust},
		{&own.patience, t.Patience},
		{&own.fold, t.Fold},
		{&own.prune, t.Prune},
		{&own.schedule, t.Schedule},
		{&own.recheck, t.Recheck},
	} {
		if f.from > 0 {
			*f.to = f.from
		}
	}
	if t.RungCap > 0 {
		own.rungCap = t.RungCap
	}
	return newEngine(c, own)
}
