package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

func TestRefusalsRememberALimitedNumberOfSubjectsAndLoseNoCount(t *testing.T) {
	t.Parallel()
	var r refusals
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range refusalBurst + 7 {
		r.take("first", tracker.AuditEntry{Action: "retry"}, now)
	}
	for i := range 3 * refusalSubjects {
		now = now.Add(time.Millisecond)
		r.take(fmt.Sprint("subject ", i), tracker.AuditEntry{}, now)
	}
	if n := len(r.subjects); n != refusalSubjects {
		t.Errorf("%d subjects are remembered, want %d", n, refusalSubjects)
	}
	list := r.takeLeftOut(now)
	if len(list) != 1 || list[0].Subject != "first" || !strings.Contains(list[0].Detail, "looking: 7,") {
		t.Errorf("the entries are %+v, want one for 7 forms of the first subject", list)
	}
}

func TestRefusalsSurviveAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	var r refusals
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range refusalBurst {
		r.take("a", tracker.AuditEntry{}, now)
	}
	if wait := r.take("a", tracker.AuditEntry{}, now.Add(-time.Hour)); wait <= 0 || wait > refusalInterval {
		t.Errorf("wait %s after the clock was set back, want at most %s", wait, refusalInterval)
	}
}
