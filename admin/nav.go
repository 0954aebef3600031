package admin

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nawasara/nawasync/admin/internal/alert"
)

// sections are the pages' main places.
func (p *page) sections() []tab {
	if !p.viewer.anywhere(PermissionView) {
		return nil
	}
	return []tab{
		{name: p.T("Jobs"), url: p.url("/jobs"), current: p.section == "jobs"},
		{name: p.T("Health"), url: p.url("/health"), current: p.section == "health"},
		{name: p.T("Services"), url: p.url("/services"), current: p.section == "services"},
		{name: p.T("Bulk"), url: p.url("/bulk"), current: p.section == "bulk"},
		{name: p.T("Activity"), url: p.url("/activity"), current: p.section == "activity"},
	}
}

// flashRole has a mishap read out at once, and anything else when there is time.
func (p *page) flashRole() string {
	if p.flash.Bad {
		return "alert"
	}
	return "status"
}

// sorted are the keys of counts.
func sorted[K cmp.Ordered](counts map[K]int64) []K { return slices.Sorted(maps.Keys(counts)) }

func has(list []string, value string) bool { return slices.Contains(list, value) }

func mark(good bool) string {
	if good {
		return "✓"
	}
	return "!"
}

// severity tells what is broken from what is doubtful, for who sees no colours.
func severity(a alert.Alert) string {
	if a.Severity == alert.Broken {
		return "✗"
	}
	return "!"
}
