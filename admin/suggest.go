package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// maxSuggestions limits an answer of suggest.
const maxSuggestions = 12

// suggestWindow is how far back jobs count for the suggested types and actions.
const suggestWindow = 30 * 24 * time.Hour

// suggestion is a completion of a query. Insert replaces what was entered.
type suggestion struct {
	Insert string `json:"insert"`
	Hint   string `json:"hint,omitempty"`
}

// suggest answers GET /suggest.json?key=…&prefix=… with completions of a query: the values of a key or, without one,
// the keys. It reads no jobs, and names only what the subject may view.
func (p *request) suggest() error {
	key, prefix := p.r.URL.Query().Get("key"), p.r.URL.Query().Get("prefix")
	list := []suggestion{}
	if key == "" {
		hints := map[string]string{}
		var names []string
		for _, f := range query.Fields() {
			names = append(names, f.Name)
			if f.Hint.Format != "" {
				hints[f.Name] = p.message(f.Hint)
			}
		}
		for _, name := range query.Matching(names, prefix, maxSuggestions) {
			list = append(list, suggestion{name + ":", hints[name]})
		}
		return p.writeJSON(list)
	}
	if values := query.FixedValues(key, p.now, p.zone); values != nil {
		for _, value := range query.Matching(values, prefix, maxSuggestions) {
			list = append(list, suggestion{value, p.valueHint(key, value)})
		}
		return p.writeJSON(list)
	}
	values, err := p.knownValues(p.r.Context(), key)
	if err != nil {
		return err
	}
	for _, value := range query.Matching(values, prefix, maxSuggestions) {
		list = append(list, suggestion{query.Quote(value, false), ""})
	}
	return p.writeJSON(list)
}

// knownValues returns the values of a key in the statistics, sorted. Keys of which there are too many values have
// none.
func (p *request) knownValues(ctx context.Context, key string) (values []string, err error) {
	switch key {
	case "service":
		return p.viewer.visibleServices(), nil
	case "instance":
		for _, i := range p.viewer.existing {
			if i.Instance != "" && p.viewer.allowed(PermissionView, i.Service, i.Instance) {
				values = append(values, i.Instance)
			}
		}
	case "type":
		scopes, err := p.store().TargetScopes(ctx)
		if err != nil {
			return nil, err
		}
		for _, scope := range scopes {
			values = append(values, scope.Type)
		}
	case "action":
		stats, err := p.store().StatCounts(ctx, tracker.PeriodDay, p.now.Add(-suggestWindow), p.now)
		if err != nil {
			return nil, err
		}
		for _, s := range stats {
			values = append(values, s.Action)
		}
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// valueHint returns what a value of a key means if the value does not say so, or "".
func (p *request) valueHint(key, value string) string {
	hint := ""
	switch key {
	case "status":
		hint = p.status(tracker.Status(value))
	case "source":
		hint = p.sourceText(value)
	case "is":
		return p.isHint(value)
	}
	if strings.EqualFold(hint, value) {
		return ""
	}
	return hint
}

// isHint returns what the value of an is: term means.
func (p *request) isHint(value string) string {
	switch value {
	case "open":
		return p.T("queued or running")
	case "stuck":
		return p.T("runs past its timeout")
	case "repaired":
		return p.T("a later job of the object succeeded")
	case "retried":
		return p.T("has a retry or an answer")
	case "deleted":
		return p.T("deleted by an operator")
	}
	return ""
}
