package admin_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func (s *site) jobPage(subject string, id int64) string {
	s.t.Helper()
	got := s.get(subject, fmt.Sprintf("/jobs/%d", id))
	if got.status != http.StatusOK {
		s.t.Fatalf("the page of job %d: status %d", id, got.status)
	}
	return text(got.body)
}

func TestFailedJobNamesTheNextStepAndHowManyFailTheSameWay(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		var last int64
		for i := range 3 {
			last = s.await(s.dispatch(chore{ID: fmt.Sprintf("box%d@example.org", i), How: "broken"}).ID, tracker.StatusFailed).ID
		}
		page := s.jobPage("operator", last)
		link := regexp.MustCompile(`<a href="([^"]+)">2 other jobs of the last 30 days have the same error\.`).FindStringSubmatch(page)
		if link == nil || !strings.Contains(page, "Correct the value in the application.") {
			t.Fatalf("the page shows:\n%s", page)
		}
		if list := s.get("operator", strings.ReplaceAll(link[1], "&amp;", "&")).body; strings.Count(list, `name="id"`) != 3 {
			t.Errorf("the link leads to:\n%s", list)
		}
		noError(t, s.engine.Delete(t.Context(), last-1, nawasync.OperatorOptions{}))
		if page := s.jobPage("viewer", last); strings.Contains(page, "job-actions") {
			t.Error("the page offers actions to a viewer")
		}
	})
}

func TestAttemptsOfAJobAreOneLineEachWithTheirLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	job := s.await(s.dispatch(chore{ID: "a", How: "broken"}).ID, tracker.StatusFailed)
	page := s.jobPage("viewer", job.ID)
	if n := strings.Count(page, `<details class="attempt"`); n != 1 || !strings.Contains(page, `Attempts <span class="count">1 of 1</span>`) {
		t.Errorf("%d attempts:\n%s", n, page)
	}
	if head, _, _ := strings.Cut(page, "</h1>"); !strings.HasPrefix(strings.TrimSpace(head[strings.LastIndex(head, "</svg>")+len("</svg>"):]), "Failed</span> update ") {
		t.Errorf("the headline does not begin with the status as a word of its own:\n%s", head)
	}
}

func TestRunningJobShowsItsProgressAndTheTimeLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	job := s.await(s.dispatch(chore{ID: "a", How: "wait"}).ID, tracker.StatusRunning)
	for _, c := range []struct{ progress, want, lacks, inLists string }{
		{`{"done": 25, "total": 100, "note": "page <3>"}`, `<progress max="100" value="25" aria-label="Progress"></progress> <span>25 of 100, about 30 min left</span> <bdi class="muted">page &lt;3&gt;</bdi>`, "", "25 of 100"},
		{`{"done": 0, "total": 100}`, "<span>0 of 100</span>", "left</span>", "0 of 100"},
		{`{"done": 1200, "total": 0}`, "<span>1,200 done</span>", "<progress", "1,200 done"},
		{`{"done": 500, "total": 100}`, `max="100" value="100"`, "left</span>", "100 of 100"},
		{`{"done": -3}`, "has been running", `data-key="progress"`, ""},
		{`"odd"`, "has been running", `data-key="progress"`, ""},
	} {
		noError(
			t,
			s.db.Exec(
				"UPDATE nawasync_jobs SET progress = ?, started_at = ? WHERE id = ?",
				c.progress,
				time.Now().Add(-10*time.Minute).UnixMicro(),
				job.ID,
			).Error,
		)
		page := s.jobPage("operator", job.ID)
		if !strings.Contains(page, c.want) || c.lacks != "" && strings.Contains(page, c.lacks) || !strings.Contains(page, ">Cancel</button>") {
			t.Errorf("with the progress %s, the page shows:\n%s", c.progress, page)
		}
		for _, path := range []string{"/jobs", "/services/whm", "/workers"} {
			if list := s.get("operator", path).body; !strings.Contains(list, c.inLists) || c.inLists == "" && strings.Contains(list, "done</bdi>") {
				t.Errorf("with the progress %s, %s shows:\n%s", c.progress, path, list)
			}
		}
	}
}

func TestWaitingJobSaysWhatItWaitsForAndWhenItIsTriedNext(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	due, err := s.engine.Dispatch(t.Context(), chore{ID: "later"}, nawasync.Options{Delay: time.Hour})
	noError(t, err)
	if page := s.jobPage("viewer", due.ID); !strings.Contains(page, "The job is due in 59 min (") && !strings.Contains(page, "The job is due in 60 min (") {
		t.Errorf("a job that is not due:\n%s", page)
	}
	first := s.dispatch(chore{ID: "a"})
	second := s.dispatch(chore{ID: "a"})
	if page := s.jobPage("viewer", second.ID); !strings.Contains(page, fmt.Sprintf("waiting for job %d of the same object", first.ID)) ||
		!strings.Contains(page, "Waiting for these jobs of the same object") {
		t.Errorf("a job behind another one:\n%s", page)
	}
	noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "Ann", Reason: "the rack moves"}))
	if page := s.jobPage("viewer", first.ID); !strings.Contains(page, "because Ann paused whm") ||
		!strings.Contains(page, "<q><bdi>the rack moves</bdi></q>") {
		t.Errorf("a job of a paused service:\n%s", page)
	}
}

func TestRetriedJobSaysSoInTheHeadlineAndOffersRetryUnderMore(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	job := s.await(s.dispatch(chore{ID: "a", How: "fail"}).ID, tracker.StatusFailed)
	if head, _, _ := strings.Cut(s.jobPage("operator", job.ID), `<details class="menu" data-key="more"`); !strings.Contains(head, `action="/jobs/1/retry"`) {
		t.Errorf("the page of a failed job does not offer Retry first:\n%s", head)
	}
	s.setHealthy(true)
	s.post("operator", "/jobs/1/retry")
	s.await(2, tracker.StatusSuccess)
	head, more, _ := strings.Cut(s.jobPage("operator", job.ID), `<details class="menu" data-key="more"`)
	if !strings.Contains(more, "Retried as job 2: success.") || strings.Contains(head, `action="/jobs/1/retry"`) ||
		!strings.Contains(more, `action="/jobs/1/retry"`) {
		t.Errorf("the page shows:\n%s%s", head, more)
	}
}
