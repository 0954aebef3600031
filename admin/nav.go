package admin

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nawasara/nawasync/admin/internal/alert"
)

// sections are the pages' main places.
func (p *request) sections() []navLink {
	if !p.viewer.anywhere(PermissionView) {
		return nil
	}
	return []navLink{
		{name: p.T("Jobs"), url: p.url("/jobs"), current: p.section == "jobs"},
		{name: p.T("Health"), url: p.url("/health"), current: p.section == "health"},
		{name: p.T("Services"), url: p.url("/services"), current: p.section == "services"},
		{name: p.T("Bulk"), url: p.url("/bulk"), current: p.section == "bulk"},
		{name: p.T("Activity"), url: p.url("/activity"), current: p.section == "activity"},
	}
}

// flashRole has a mishap read out at once, and anything else when there is time.
func (p *request) flashRole() string {
	if p.flash.Bad {
		return "alert"
	}
	return "status"
}

// sortedKeys are the keys of counts.
func sortedKeys[K cmp.Ordered](counts map[K]int64) []K { return slices.Sorted(maps.Keys(counts)) }

func contains(list []string, value string) bool { return slices.Contains(list, value) }

func checkMark(good bool) string {
	if good {
		return "✓"
	}
	return "!"
}

// severity tells what is broken from what is doubtful, for who sees no colours.
func severity(a alert.Alert) string {
	if a.Severity == alert.SeverityCritical {
		return "✗"
	}
	return "!"
}
