package admin

// navSection is a link of the main navigation.
type navSection struct {
	navLink
	icon string
	key  string // of the keyboard shortcut, after g
}

// sections returns the links of the main navigation, and those in its menu. It returns nothing for a subject
// who may view nothing.
func (p *request) sections() (main, more []navSection) {
	if !p.viewer.allowedAnywhere(PermissionView) {
		return nil, nil
	}
	section := func(name, path, icon, key string) navSection {
		current := p.section != "" && path == "/"+p.section || p.section == "overview" && path == "/"
		return navSection{navLink{name: name, url: p.url(path), current: current}, icon, key}
	}
	main = []navSection{
		section(p.T("Overview"), "/", "overview", "o"), section(p.T("Jobs"), "/jobs", "jobs", "j"),
		section(p.T("Services"), "/services", "services", "s"),
	}
	more = []navSection{
		section(p.T("Workers"), "/workers", "", "w"), section(p.T("Bulk runs"), "/bulk", "", "b"), section(p.T("Audit log"), "/audit", "", "a"),
	}
	return main, more
}

// mayView reports whether the subject may view something, or might: before its rights are known, for example
// on the page for an unknown address, a link to the jobs is better than none.
func (p *request) mayView() bool {
	return p.viewer.subject != "" && (!p.viewer.loaded || p.viewer.allowedAnywhere(PermissionView))
}
