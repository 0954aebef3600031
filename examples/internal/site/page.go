package site

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// Page is the frame of a page: its title, its navigation and the result of the last form.
type Page struct {
	Brand       string
	User        string // the demo user of the operators' pages
	Title       string
	Sections    []Link       // the main navigation
	Places      []Link       // the same page of other servers or accounts
	PlacesLabel string       // what Places are, for example "Servers"
	PlaceLabel  string       // what an instance is, for example "Server"
	Instance    string       // of the job or the list on the page
	Problem     string       // why the submitted form was refused
	Watched     *tracker.Job // the job of the submitted form
	Refresh     int          // seconds until the page reloads, because a job has not ended; 0 is never
}

// Link is a link of the navigation.
type Link struct {
	Name    string
	URL     templ.SafeURL
	Current string // the value of aria-current
}

// Current returns the value of a link's aria-current attribute.
func Current(isCurrent bool) string {
	if isCurrent {
		return "page"
	}
	return "false"
}

// LinkTo returns the URL of a page for an instance.
func LinkTo(path, instance string) templ.SafeURL {
	return templ.SafeURL(path + "?" + url.Values{"instance": {instance}}.Encode())
}

// watch adds the job that the URL names: the page shows the job's status and refreshes until the job ends.
func (s *Site) watch(r *http.Request, p *Page) error {
	id, _ := strconv.ParseInt(r.URL.Query().Get("job"), 10, 64)
	if id <= 0 {
		return nil
	}
	jobs, err := s.Engine.Reader().ByID(r.Context(), []int64{id})
	if err != nil {
		return err
	}
	if p.Watched = jobs[id]; p.Watched != nil {
		p.Refresh = refreshFor(p.Watched)
	}
	return nil
}

// Page returns the frame of a page that Site.Frame describes. problem says why the submitted form was refused.
func (s *Site) Page(r *http.Request, title, path, instance, problem string) (Page, error) {
	p := s.Frame(path, instance)
	p.User, p.Title, p.Instance, p.Problem = demoUser(r), title, instance, problem
	return p, s.watch(r, &p)
}

// refreshFor returns after how many seconds a page with the job reloads. 0 means never.
func refreshFor(job *tracker.Job) int {
	switch {
	case job.Status.Terminal():
		return 0
	case parked(job), time.Until(job.NotBefore) > 2*time.Second:
		return 5
	}
	return 1
}

// RowJob returns the URL of the job that last changed a row, or "".
func RowJob(s nawasync.SyncStatus) templ.SafeURL {
	if s.SyncJobID == nil {
		return ""
	}
	return JobURL(*s.SyncJobID)
}

// parked reports whether the job waits because the server has refused it and would refuse others.
func parked(j *tracker.Job) bool {
	class := fault.Class(j.ErrorClass)
	return j.Status == tracker.StatusQueued && (class == fault.ClassCredentials || class == fault.ClassUnavailable || class == fault.ClassRateLimited)
}

// JobURL returns the URL of the page of a job.
func JobURL(id int64) templ.SafeURL { return templ.SafeURL(fmt.Sprintf("/jobs/%d", id)) }

// OperatorsURL returns the URL of a path of the operators' pages.
func OperatorsURL(path string) templ.SafeURL { return templ.SafeURL(AdminPrefix + path) }

// OperatorsJobURL returns the URL of a job on the operators' pages.
func OperatorsJobURL(id int64) templ.SafeURL { return OperatorsURL(fmt.Sprintf("/jobs/%d", id)) }
