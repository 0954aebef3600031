package main

import (
	"net/url"
	"strings"

	"github.com/nawasara/nawasync"
)

// credentials returns what this process sends to the database, to Redis and to the WHM servers. The tokens of
// the simulated servers change with each start.
func (a *example) credentials() (list []nawasync.Secret) {
	add := func(value, user string) {
		// nawasync removes a value wherever it occurs. A short one, and one that is the user's name too, would
		// be part of ordinary words.
		if len(strings.TrimSpace(value)) >= 6 && value != user {
			list = append(list, nawasync.NewSecret(value))
		}
	}
	for _, address := range []string{a.settings.dsn, a.settings.redis} {
		for _, value := range passwords(address) {
			add(value.password, value.user)
		}
	}
	configs, err := a.settings.servers()
	if err != nil {
		return list // connectServers returns the error
	}
	for _, c := range configs {
		add(c.token, a.settings.whmUser)
	}
	return list
}

// login is a user and its password.
type login struct{ user, password string }

// passwords returns the passwords in the URL of a database or of Redis.
func passwords(address string) (list []login) {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	if password, ok := u.User.Password(); ok {
		list = append(list, login{u.User.Username(), password})
	}
	for key, values := range u.Query() {
		if strings.Contains(strings.ToLower(key), "password") {
			for _, value := range values {
				list = append(list, login{u.User.Username(), value})
			}
		}
	}
	return list
}
