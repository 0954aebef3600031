package setup

import (
	"net/url"
	"strings"
)

// RedactDSN returns the DSN without its password and without its parameters, which may hold one.
func RedactDSN(dsn string) string {
	if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return "sqlite:" + file
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Host == "" {
		return "(hidden: the DSN is not a URL)"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// hidePassword removes the passwords of a URL from a text, for example from a driver's error.
func hidePassword(text, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(hidden: the address is not a URL)"
	}
	secrets := u.Query()["password"]
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:]} {
			if form != "" {
				text = strings.ReplaceAll(text, form, "***")
			}
		}
	}
	return text
}
