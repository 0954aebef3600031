package component_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/component"
	"github.com/nawasara/nawasync/tracker"
)

func TestSyncBadgeShowsEachStateBySignAndWordAndEscapesItsError(t *testing.T) {
	t.Parallel()
	for state, want := range map[nawasync.SyncState]string{
		nawasync.StateSynced: "✓ in sync", nawasync.StatePendingCreate: "◐ being created", nawasync.StatePendingUpdate: "◐ being changed",
		nawasync.StatePendingDelete: "◐ being deleted", nawasync.StateFailed: "✗ failed", nawasync.StateConflict: "⇄ conflict", nawasync.StateMissing: "? missing",
	} {
		var b strings.Builder
		status := nawasync.SyncStatus{State: state, SyncError: `"><script>alert(1)</script>`, SyncJobID: new(int64(7))}
		if err := component.SyncBadge(status, "/jobs/7").Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); !strings.Contains(text, want) || !strings.Contains(text, `href="/jobs/7"`) || strings.Contains(text, "<script>") {
			t.Errorf("%s: %s", state, text)
		}
	}
}

func TestComponentsFollowTheLanguageOfTheContext(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"id": "Belum pernah", "en": "Never synced.", "xx": "Never synced."} {
		var b strings.Builder
		if err := component.LastSynced(time.Time{}, time.Now()).Render(component.WithLanguage(t.Context(), tag), &b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: %s", tag, b.String())
		}
	}
}

func TestLastSyncedShowsNeverOrTheTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]string{{}: "Never synced.", now.Add(-30 * time.Minute): "2026-05-01 11:30:00 UTC</time>, 30 minutes ago."} {
		var b strings.Builder
		if err := component.LastSynced(at, now).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: %s", at, b.String())
		}
	}
}

func TestTargetTimelineShowsWhatSyncsFoundBetweenTheJobs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	link := func(id int64) templ.SafeURL { return templ.SafeURL(fmt.Sprint("/jobs/", id)) }
	jobs := []*tracker.Job{
		{ID: 7, Action: "create", Status: tracker.StatusSuccess, CreatedAt: now.Add(-3 * time.Hour)},
		{ID: 9, Action: "delete", Status: tracker.StatusQueued, CreatedAt: now.Add(-time.Hour)},
	}
	changes := []tracker.Change{{
		At: now.Add(-2 * time.Hour), JobID: 8, Kind: tracker.ChangeDrifted,
		Fields: []byte(`{"quota":{"from":1,"to":"<b>"},"plan":"***"}`),
	}}
	var b strings.Builder
	if err := component.TargetTimeline(jobs, changes, now, link).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, want := range []string{"/jobs/9", "/jobs/8", "changed on the remote: plan, quota", "/jobs/7"} {
		if at := strings.Index(b.String(), want); at <= last {
			t.Errorf("%s is missing or out of order: %s", want, b.String())
		} else {
			last = at
		}
	}
}

func TestTargetTimelineShowsJobsAndEscapesTheirTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	link := func(id int64) templ.SafeURL { return templ.SafeURL(fmt.Sprint("/jobs/", id)) }
	jobs := []*tracker.Job{{ID: 7, Action: "update_quota", Status: tracker.StatusConflict, TriggeredBy: "<b>Ann</b>", CreatedAt: now.Add(-time.Hour)}}
	for want, list := range map[string][]*tracker.Job{
		"No jobs or changes yet.": nil, "⇄ conflict</span> update quota by <bdi>&lt;b&gt;Ann": jobs,
		`href="/jobs/7"`: jobs, "60 minutes ago: <a": jobs, "Job 7</a> ": jobs,
	} {
		var b strings.Builder
		if err := component.TargetTimeline(list, nil, now, link).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("the timeline lacks %s: %s", want, b.String())
		}
	}
}
