package admin

import (
	"strings"
	"time"
)

// preferences stores the language, the time zone, the theme, the refresh interval and the keyboard shortcuts in
// cookies.
func (p *request) preferences() error {
	const year = 365 * 24 * 3600
	if zone := strings.TrimSpace(p.r.PostFormValue("zone")); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil || zone == "Local" || len(zone) > 63 {
			return p.back(flash{Bad: true, Text: p.Tf("%q is not a time zone. Enter a name such as Asia/Jakarta or UTC.", zone)})
		}
		p.setCookie(cookieZone, zone, year)
	}
	if language := p.r.PostFormValue("language"); p.r.PostForm.Has("language") {
		p.setCookie(cookieLanguage, language, year)
	}
	if theme := p.r.PostFormValue("theme"); p.r.PostForm.Has("theme") {
		p.setCookie(cookieTheme, theme, year)
	}
	if live := p.r.PostFormValue("live"); p.r.PostForm.Has("live") {
		p.setCookie(cookieLive, live, year)
	}
	if keys := p.r.PostFormValue("keys"); p.r.PostForm.Has("keys") {
		p.setCookie(cookieKeys, keys, year)
	}
	return p.redirect(p.localURL(p.r.PostFormValue("back")))
}
