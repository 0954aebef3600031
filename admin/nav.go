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
