package remote

import "time"

const (
	// forecastSpan is how much data a forecast needs.
	forecastSpan = 5 * time.Minute
	forecastStep = forecastSpan / 10
)

// forecast says when no calls are left at the present rate, from how many were left in the last five
// minutes.
type forecast struct {
	samples []sample // oldest first
}

type sample struct {
	at   time.Time
	left int
}

// add notes how many calls are left. A silence ends what is known.
func (f *forecast) add(now time.Time, left int, silent bool) {
	if silent {
		f.samples = nil
		return
	}
	if n := len(f.samples); n > 0 && now.Sub(f.samples[n-1].at) < forecastStep {
		return
	}
	f.samples = append(f.samples, sample{now, left})
	for len(f.samples) > 1 && now.Sub(f.samples[1].at) >= forecastSpan {
		f.samples = f.samples[1:]
	}
}

// at returns when no calls are left at the rate of the last five minutes. It is unknown before there are
// five minutes of data, and the zero time if the calls do not run out.
func (f *forecast) at(now time.Time, left int) (at time.Time, known bool) {
	if len(f.samples) == 0 {
		return at, false
	}
	first := f.samples[0]
	span := now.Sub(first.at)
	if span < forecastSpan || span > 2*forecastSpan {
		return at, false
	}
	used := first.left - left
	if used <= 0 {
		return at, true
	}
	return now.Add(time.Duration(float64(span) * float64(left) / float64(used))), true
}
