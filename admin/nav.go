package admin

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nawasara/nawasync/admin/internal/alert"
)

// sections returns the links of the main navigation. It returns nil for a subject who may view
// nothing.
func (p *request) sections() []navLink {
	if !p.viewer.allowedAnywhere(PermissionView) {
		return nil
	}
	return []navLink{
		{name: p.T("Jobs"), url: p.url("/jobs"), current: p.section == "jobs"},
		{name: p.T("Health"), url: p.url("/health"), current: p.section == "health"},
		{name: p.T("Services"), url: p.url("/services"), current: p.section == "services"},
		{name: p.T("Bulk runs"), url: p.url("/bulk"), current: p.section == "bulk"},
		{name: p.T("Audit log"), url: p.url("/audit"), current: p.section == "audit"},
	}
}

// flashRole returns the ARIA role of the flash. Screen readers announce an "alert" at once and a
// "status" when they are idle.
func (p *request) flashRole() string {
	if p.flash.Bad {
		return "alert"
	}
	return "status"
}

// sortedKeys returns the keys of counts in order.
func sortedKeys[K cmp.Ordered](counts map[K]int64) []K { return slices.Sorted(maps.Keys(counts)) }

func contains(list []string, value string) bool { return slices.Contains(list, value) }

func checkMark(good bool) string {
	if good {
		return "✓"
	}
	return "!"
}

// severity returns a sign for the severity of an alert, for readers who cannot tell the colours
// apart.
func severity(a alert.Alert) string {
	if a.Severity == alert.SeverityCritical {
		return "✗"
	}
	return "!"
}
