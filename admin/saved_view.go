package admin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// savedOptions are the parameters of the list's URL that a saved view keeps besides the query.
var savedOptions = []string{"group", "sort"}

// viewMenu has the saved views that the reader may open.
type viewMenu struct {
	own, shared []savedView
	problem     string // why the saved views are missing
}

// savedView is a view in the menu.
type savedView struct {
	tracker.SavedView
	url     string
	invalid bool // the query has an error
}

// loadViews reads the saved views. The list is shown without them if they cannot be read.
func (p *request) loadViews() (menu viewMenu) {
	ctx, cancel := context.WithTimeout(p.r.Context(), p.h.config.Timeout/5)
	defer cancel()
	own, shared, err := p.h.reader.SavedViews(ctx, p.viewer.subject)
	if err != nil {
		p.h.config.Logger.Error("saved views could not be read", "error", err)
		menu.problem = p.T("The saved views could not be read in time.")
		return menu
	}
	for _, stored := range own {
		menu.own = append(menu.own, p.viewLink(stored))
	}
	for _, stored := range shared {
		if p.mayReadQuery(stored.Query) {
			menu.shared = append(menu.shared, p.viewLink(stored))
		}
	}
	return menu
}

func (p *request) viewLink(stored tracker.SavedView) savedView {
	v := savedView{SavedView: stored}
	_, err := query.Parse(stored.Query, p.zone)
	v.invalid = err != nil
	pairs := []string{"q", stored.Query}
	if options, err := url.ParseQuery(stored.Options); err == nil {
		for _, name := range savedOptions {
			pairs = append(pairs, name, options.Get(name))
		}
	}
	v.url = p.url("/jobs", pairs...)
	return v
}

// mayReadQuery reports whether the reader may see the text of a query that somebody else shares: whether the reader
// may view a part of each service and instance that the query names.
func (p *request) mayReadQuery(text string) bool {
	if p.viewer.views() == nil {
		return true
	}
	q, err := query.Parse(text, p.zone)
	if err != nil {
		return false
	}
	visible := p.viewer.visibleServices()
	for _, service := range q.Named("service") {
		if !slices.Contains(visible, service) {
			return false
		}
	}
	for _, instance := range q.Named("instance") {
		views := func(i tracker.ServiceInstance) bool {
			return i.Instance == instance && slices.Contains(visible, i.Service) && q.Allows("service", i.Service) &&
				p.viewer.allowed(PermissionView, i.Service, i.Instance)
		}
		if !slices.ContainsFunc(p.viewer.existing, views) {
			return false
		}
	}
	return true
}

// mayShare reports whether the subject may share a query: whether it manages all instances of the services that the
// query selects, or of every service if the query selects none.
func (p *request) mayShare(text string) bool {
	manages := p.viewer.manages()
	if manages == nil {
		return p.viewer.allowedAnywhere(PermissionManage)
	}
	q, err := query.Parse(text, p.zone)
	services := q.Values("service")
	return err == nil && len(services) > 0 &&
		!slices.ContainsFunc(services, func(service string) bool { return !slices.Contains(manages.Services, service) })
}

// viewEntry returns the audit entry for a change of a view. It names the view by its ID only: its texts may name
// objects. If the view is shared, before the change or after it, the entry belongs to the service of its query.
func (p *request) viewEntry(action, text string, shared bool) tracker.AuditEntry {
	entry := tracker.AuditEntry{Action: action + "_view", Service: Every, Outcome: tracker.AuditDone}
	if !shared {
		entry.Type = tracker.AuditPrivateView
	} else if q, err := query.Parse(text, p.zone); err == nil && q.Only("service") != "" {
		entry.Service = q.Only("service")
	}
	return entry
}

// addSavedView saves the query of the list under a name.
func (p *request) addSavedView() error {
	form := p.r.PostForm
	view := tracker.SavedView{Owner: p.viewer.subject, Name: viewName(form.Get("name")), Shared: form.Get("shared") != ""}
	q, err := query.Parse(form.Get("q"), p.zone)
	if view.Query = q.String(); err != nil {
		view.Query = form.Get("q")
	}
	options := url.Values{}
	for _, name := range savedOptions {
		if value := form.Get(name); value != "" {
			options.Set(name, value)
		}
	}
	view.Options = options.Encode()
	entry := p.viewEntry("save", view.Query, view.Shared)
	return p.runActionIf(!view.Shared || p.mayShare(view.Query), PermissionManage, entry, func(ctx context.Context) (flash, error) {
		if err != nil {
			return flash{}, &refusedError{text: p.T("The view was not saved because its query has an error.")}
		}
		if err := p.checkView(view); err != nil {
			return flash{}, err
		}
		id, err := p.h.engine.Internals(host.NewKey()).Store().AddView(ctx, view)
		if err != nil {
			return flash{}, p.viewError(err)
		}
		view.ID = id
		return flash{Text: p.Tf("The view “%s” was saved.", view.Name)}, p.recordView(ctx, entry, view)
	})
}

// viewName returns a name without line breaks and repeated spaces.
func viewName(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// checkView returns a refusedError for a view that must not be stored.
func (p *request) checkView(view tracker.SavedView) error {
	redact := p.h.engine.Internals(host.NewKey()).Redact
	switch {
	case view.Name == "":
		return &refusedError{text: p.T("Enter a name for the view.")}
	case len([]rune(view.Name)) > tracker.MaxViewName:
		return &refusedError{text: p.Tf("The name of a view may have %d characters.", tracker.MaxViewName)}
	case len(view.Query) > tracker.MaxViewQuery || len(view.Options) > tracker.MaxViewOptions || len(view.Owner) > 255:
		return &refusedError{text: p.T("The view is too long to be saved.")}
	case redact(view.Name) != view.Name || redact(view.Query) != view.Query:
		return &refusedError{text: p.T("The view was not saved because its text contains a secret.")}
	}
	return nil
}

// viewError returns a refusedError for what the store refuses.
func (p *request) viewError(err error) error {
	switch {
	case errors.Is(err, jobstore.ErrViewExists):
		return &refusedError{text: p.T("You have a view with this name. Choose another name, or delete that view first.")}
	case errors.Is(err, jobstore.ErrTooManyViews):
		return &refusedError{text: p.Tf("You have %d views, which is the maximum. Delete one first.", tracker.MaxViews)}
	case errors.Is(err, jobstore.ErrTooManyShared):
		return &refusedError{text: p.Tf("%d views are shared, which is the maximum. Stop sharing one first.", tracker.MaxSharedViews)}
	}
	return err
}

// recordView writes the audit entry of a change that was made.
func (p *request) recordView(ctx context.Context, entry tracker.AuditEntry, view tracker.SavedView) error {
	entry.Detail = fmt.Sprintf("view %d", view.ID)
	if view.Shared {
		entry.Detail += ", shared"
	}
	return p.recordAudit(ctx, entry)
}

// changeSavedView renames, shares or deletes a view of the subject, or stops sharing one.
func (p *request) changeSavedView() error {
	id, err := strconv.ParseInt(p.r.PathValue("id"), 10, 64)
	if err != nil {
		return errNotFound
	}
	view, err := p.h.reader.SavedView(p.r.Context(), id)
	if err != nil {
		return err
	}
	mine, action := view.Owner == p.viewer.subject, p.r.PathValue("action")
	if !mine && (!view.Shared || !p.mayReadQuery(view.Query)) {
		return errNotFound
	}
	shared := view.Shared || action == "change" && p.r.PostForm.Get("shared") != ""
	store, entry := p.h.engine.Internals(host.NewKey()).Store(), p.viewEntry(action, view.Query, shared)
	switch action {
	case "change":
		view.Name, view.Shared = viewName(p.r.PostForm.Get("name")), p.r.PostForm.Get("shared") != ""
		return p.runActionIf(mine && (!view.Shared || p.mayShare(view.Query)), PermissionManage, entry, func(ctx context.Context) (flash, error) {
			if err := p.checkView(view); err != nil {
				return flash{}, err
			}
			if err := store.ChangeView(ctx, view); err != nil {
				return flash{}, p.viewError(err)
			}
			return flash{Text: p.Tf("The view “%s” was changed.", view.Name)}, p.recordView(ctx, entry, view)
		})
	case "unshare":
		return p.runActionIf(mine || p.mayShare(view.Query), PermissionManage, entry, func(ctx context.Context) (flash, error) {
			view.Shared = false
			if err := store.ChangeView(ctx, view); err != nil {
				return flash{}, p.viewError(err)
			}
			return flash{Text: p.Tf("The view “%s” is no longer shared.", view.Name)}, p.recordView(ctx, entry, view)
		})
	case "delete":
		return p.runActionIf(mine, PermissionManage, entry, func(ctx context.Context) (flash, error) {
			found, err := store.DeleteView(ctx, view.ID)
			if err == nil && !found {
				err = tracker.ErrNotFound
			}
			if err != nil {
				return flash{}, err
			}
			return flash{Text: p.Tf("The view “%s” was deleted.", view.Name)}, p.recordView(ctx, entry, view)
		})
	}
	return p.unknownAction()
}

// isCurrent reports whether the list shows a view.
func (v *jobsView) isCurrent(view savedView) bool {
	return view.Query == v.queryText && view.Options == v.viewOptions().Encode()
}

// viewOptions returns the parameters of the list that a saved view keeps.
func (v *jobsView) viewOptions() url.Values {
	options := url.Values{}
	for _, name := range savedOptions {
		if value := v.r.URL.Query().Get(name); value != "" {
			options.Set(name, value)
		}
	}
	return options
}

// viewLinks returns the saved views of the subject, and then those of others.
func (v *jobsView) viewLinks() (list []navLink) {
	for _, view := range slices.Concat(v.views.own, v.views.shared) {
		list = append(list, navLink{name: view.Name, url: view.url, current: v.isCurrent(view)})
	}
	return list
}

// currentViews returns the views of the subject that have the query of the list.
func (v *jobsView) currentViews() []savedView {
	return slices.DeleteFunc(slices.Clone(v.views.own), func(view savedView) bool { return !v.isCurrent(view) })
}

// currentShared returns the views of others that have the query of the list and that the subject may stop sharing.
func (v *jobsView) currentShared() []savedView {
	return slices.DeleteFunc(slices.Clone(v.views.shared), func(view savedView) bool { return !v.isCurrent(view) || !v.mayShare(view.Query) })
}

// canSave reports whether the list shows something that can be saved as a view.
func (v *jobsView) canSave() bool {
	return v.queryError == nil && v.views.problem == "" && (v.queryText != "" || len(v.viewOptions()) > 0) && len(v.currentViews()) == 0
}

// sharedText says who will see the view.
func (v *jobsView) sharedText() string {
	if services := v.query.Values("service"); len(services) > 0 {
		return v.Tf("Share with everybody who may view %s", strings.Join(services, ", "))
	}
	return v.T("Share with everybody")
}

// viewURL returns the URL of a form that changes a view.
func (v *jobsView) viewURL(view savedView, action string) string {
	return v.url(fmt.Sprintf("/views/%d/%s", view.ID, action))
}

// shownOwner returns the name of the person who shares a view, shortened.
func (view savedView) shownOwner() string { return sqlkit.CleanText(view.Owner, 60) }
