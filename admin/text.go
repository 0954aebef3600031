package admin

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// T is a text of the pages in the host's language. What is passed to T and Tf stands in
// messages.txt, which a test keeps complete.
func (p *page) T(text string) string {
	if other := p.h.config.Messages[text]; other != "" {
		return other
	}
	return text
}

// Tf is T for a text with parameters.
func (p *page) Tf(format string, args ...any) string { return fmt.Sprintf(p.T(format), args...) }

// said is a text that comes into being before it is known for whom; what is passed to
// say stands in messages.txt too.
type said struct {
	format string
	args   []any
}

func say(format string, args ...any) said { return said{format, args} }

// String is the text in English.
func (t said) String() string { return fmt.Sprintf(t.format, t.args...) }

// said is the text in the host's language.
func (p *page) said(t said) string {
	args := slices.Clone(t.args)
	for i, arg := range args {
		if inner, ok := arg.(said); ok {
			args[i] = p.said(inner)
		}
	}
	return p.Tf(t.format, args...)
}

func (p *page) status(s tracker.Status) string {
	switch s {
	case tracker.Queued:
		return p.T("queued")
	case tracker.Running:
		return p.T("running")
	case tracker.Success:
		return p.T("success")
	case tracker.Failed:
		return p.T("failed")
	case tracker.Conflict:
		return p.T("conflict")
	case tracker.Skipped:
		return p.T("skipped")
	case tracker.Cancelled:
		return p.T("cancelled")
	}
	return string(s)
}

// tone is the colour of a status.
func tone(s tracker.Status) string {
	return map[tracker.Status]string{
		tracker.Queued: "wait", tracker.Running: "busy", tracker.Success: "good", tracker.Failed: "bad", tracker.Conflict: "warn", tracker.Skipped: "calm", tracker.Cancelled: "calm",
	}[s]
}

// outcome is how an attempt ended.
func (p *page) outcome(outcome tracker.Outcome) string {
	switch outcome {
	case tracker.OutcomeRetry:
		return p.T("failed, to be tried again")
	case tracker.OutcomeStopped:
		return p.T("stopped with its process")
	case tracker.OutcomeParked:
		return p.T("parked")
	case tracker.OutcomeReaped:
		return p.T("died with its process")
	}
	return p.status(tracker.Status(outcome))
}

// state is a snapshot row's state.
func (p *page) state(s nawasync.SyncState) string {
	switch s {
	case nawasync.StateSynced:
		return p.T("synced")
	case nawasync.StatePendingCreate:
		return p.T("being created")
	case nawasync.StatePendingUpdate:
		return p.T("being changed")
	case nawasync.StatePendingDelete:
		return p.T("being deleted")
	case nawasync.StateFailed:
		return p.T("failed")
	case nawasync.StateConflict:
		return p.T("conflict")
	case nawasync.StateMissing:
		return p.T("missing")
	}
	return string(s)
}

// moment is a time in the reader's zone, with its offset.
func (p *page) moment(t time.Time) string { return t.In(p.zone).Format("2006-01-02 15:04:05 -07:00") }

// short is a time as a list shows it.
func (p *page) short(t time.Time) string {
	t = t.In(p.zone)
	if now := p.now.In(p.zone); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// ago is how long ago, or in how long.
func (p *page) ago(t time.Time) string {
	d := p.now.Sub(t)
	switch {
	case d < -time.Second:
		return p.Tf("in %s", span(-d))
	case d < time.Second:
		return p.T("just now")
	case d < 10*time.Second:
		d = d.Truncate(time.Second)
	}
	return p.Tf("%s ago", span(d))
}

// span is a length of time in its largest units.
func span(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Millisecond:
		return "0\u00a0ms"
	case d < time.Second:
		return fmt.Sprintf("%d\u00a0ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "\u00a0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d\u00a0s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d\u00a0min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d\u00a0h", int(d.Hours()))
	}
	return fmt.Sprintf("%d\u00a0d", int(d.Hours()/24))
}

func thousands[N ~int | ~int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// percent is a share, never rounded up to a hundred.
func percent(part, of int64) string {
	if of == 0 {
		return "–"
	}
	share := 100 * float64(part) / float64(of)
	if share > 0 && (share < 10 || share > 99) && part != of {
		return fmt.Sprintf("%.1f %%", math.Floor(share*10)/10)
	}
	return fmt.Sprintf("%d %%", int(share))
}

// firstLine is what a list shows of an error.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(line); len(runes) > 160 {
		return string(runes[:160]) + "…"
	}
	return line
}
