package admin

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

// mayView reports whether the subject may view something, or might: before its rights are known, for example
// on the page for an unknown address, a link to the jobs is better than none.
func (p *request) mayView() bool {
	return p.viewer.subject != "" && (!p.viewer.loaded || p.viewer.allowedAnywhere(PermissionView))
}
