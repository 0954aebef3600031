package admin

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// progress is how far a running job is. Total is 0 if the job has not said how much there is.
type progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Note  string `json:"note"`
}

// progressOf returns how far a job is, or nil if it does not run or has not told.
func progressOf(j *tracker.Job) *progress {
	var g progress
	if j.Status != tracker.StatusRunning || len(j.Progress) == 0 || json.Unmarshal(j.Progress, &g) != nil {
		return nil
	}
	if strings.HasPrefix(g.Note, "{") { // for the handler itself
		g.Note = ""
	}
	if g.Done < 0 || g.Done == 0 && g.Total <= 0 && g.Note == "" {
		return nil
	}
	if g.Total > 0 {
		g.Done = min(g.Done, g.Total)
	}
	return &g
}

// amountText says how much of a job is done.
func (p *request) amountText(g *progress) string {
	if g.Total > 0 {
		return p.Tf("%s of %s", format.Thousands(p, g.Done), format.Thousands(p, g.Total))
	}
	return p.Tf("%s done", format.Thousands(p, g.Done))
}

// progressText is amountText with the time that is left, if the job goes on as fast as until now.
func (p *request) progressText(j *tracker.Job, g *progress) string {
	ran := p.now.Sub(j.StartedAt)
	if g.Total <= 0 || g.Done == 0 || g.Done == g.Total || ran <= 0 {
		return p.amountText(g)
	}
	left := time.Duration(float64(ran) / float64(g.Done) * float64(g.Total-g.Done))
	return p.Tf("%s of %s, about %s left", format.Thousands(p, g.Done), format.Thousands(p, g.Total), format.Span(p, left))
}

// noteText appends what the job says about its progress to a text, cut for a list.
func (p *request) noteText(text string, g *progress) string {
	if g.Note == "" {
		return text
	}
	return text + ", " + format.Cut(g.Note, maxProgressNote)
}

// maxProgressNote is how many characters of a progress note a list shows.
const maxProgressNote = 120
