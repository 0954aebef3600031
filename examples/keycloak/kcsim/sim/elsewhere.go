package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// These functions change the server like somebody in its console, without a token. The admin events show it.

// Object is a user or a client, by the names that the API has for the fields.
type Object map[string]any

// Text returns a field that is a text, or "".
func (o Object) Text(name string) string {
	text, _ := o[name].(string)
	return text
}

func (s *Server) in(name string, do func(of *realm) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.find(name)
	if of == nil {
		return fmt.Errorf("no realm with the name %q", name)
	}
	return do(of)
}

// Users returns the users of a realm in the order of their names, the hidden ones included.
func (s *Server) Users(name string) (list []Object) {
	_ = s.in(name, func(of *realm) error {
		list = objects(of.users)
		return nil
	})
	return list
}

// Apps returns the clients of a realm in the order of their names, with their secrets.
func (s *Server) Apps(name string) (list []Object) {
	_ = s.in(name, func(of *realm) error {
		list = objects(of.apps)
		return nil
	})
	return list
}

func objects(of *store) (list []Object) {
	for _, d := range of.list {
		text, _ := json.Marshal(d)
		var o Object
		_ = json.Unmarshal(text, &o)
		list = append(list, o)
	}
	return list
}

// PutUser changes fields of the user with a name, or creates the user.
func (s *Server) PutUser(name, username string, fields Object) error {
	return s.in(name, func(of *realm) error {
		u := of.users.named(strings.ToLower(username))
		change := documentOf(fields)
		if u != nil {
			if problem := s.changeUser(of, u, change); problem != nil {
				return problem.error()
			}
			s.record(of, "USER", "UPDATE", "users/"+u.text("id"))
			return nil
		}
		change.set("username", username)
		u, problem := s.newUser(of, change)
		if problem != nil {
			return problem.error()
		}
		s.record(of, "USER", "CREATE", "users/"+u.text("id"))
		return nil
	})
}

// RemoveUser deletes the user with a name.
func (s *Server) RemoveUser(name, username string) error {
	return s.in(name, func(of *realm) error {
		u := of.users.named(username)
		if u == nil {
			return fmt.Errorf("no user with the name %q", username)
		}
		s.dropUser(of, u.text("id"))
		return nil
	})
}

// PutApp changes fields of the client with a client id, or creates the client.
func (s *Server) PutApp(name, clientID string, fields Object) error {
	return s.in(name, func(of *realm) error {
		a := of.apps.named(clientID)
		change := documentOf(fields)
		if a != nil {
			if problem := s.changeApp(of, a, change); problem != nil {
				return problem.error()
			}
			s.record(of, "CLIENT", "UPDATE", "clients/"+a.text("id"))
			return nil
		}
		change.set("clientId", clientID)
		a, problem := s.newApp(of, change)
		if problem != nil {
			return problem.error()
		}
		s.record(of, "CLIENT", "CREATE", "clients/"+a.text("id"))
		return nil
	})
}

// RemoveApp deletes the client with a client id.
func (s *Server) RemoveApp(name, clientID string) error {
	return s.in(name, func(of *realm) error {
		a := of.apps.named(clientID)
		if a == nil {
			return fmt.Errorf("no client with the client id %q", clientID)
		}
		s.dropApp(of, a.text("id"))
		return nil
	})
}

// Hide says whether the service account may see the users with some names; without names, it is about all users of the
// realm. Lists leave hidden users out, and other calls for them are refused.
func (s *Server) Hide(name string, hidden bool, usernames ...string) error {
	return s.in(name, func(of *realm) error {
		for _, u := range of.users.list {
			if len(usernames) == 0 || slices.Contains(usernames, u.text("username")) {
				of.hidden[u.text("id")] = hidden
			}
		}
		return nil
	})
}

// Forbid says whether the service account of a realm has lost its roles, so that each call but for a token is refused.
func (s *Server) Forbid(name string, forbidden bool) error {
	return s.in(name, func(of *realm) error {
		of.forbidden = forbidden
		return nil
	})
}

// SaveEvents says whether a realm saves admin events.
func (s *Server) SaveEvents(name string, save bool) error {
	return s.in(name, func(of *realm) error {
		of.silent = !save
		return nil
	})
}

// Revoke ends all access tokens of a realm before their time.
func (s *Server) Revoke(name string) error {
	return s.in(name, func(of *realm) error {
		maps.DeleteFunc(s.tokens, func(_ string, t token) bool { return t.realm == of.name })
		return nil
	})
}

// Password returns the password of a user, and whether it is temporary.
func (s *Server) Password(name, username string) (text string, temporary bool) {
	_ = s.in(name, func(of *realm) error {
		if u := of.users.named(username); u != nil {
			p := of.passwords[u.text("id")]
			text, temporary = p.text, p.temporary
		}
		return nil
	})
	return text, temporary
}

func documentOf(fields Object) document {
	d := document{}
	for name, value := range fields {
		d.set(name, value)
	}
	return d
}

func (a answer) error() error { return errors.New(string(a.text())) }

// seed gives a new realm its clients and users.
func (s *Server) seed(of *realm, configured Realm, users int) {
	of.silent = true // what the realm begins with is no event
	for _, name := range builtIn {
		s.mustSeed(s.newApp(of, documentOf(Object{"clientId": name, "publicClient": true})))
	}
	account := configured.ClientID
	if account == "" {
		account = "nawasync"
	}
	s.mustSeed(s.newApp(of, documentOf(Object{
		"clientId": account, "secret": configured.Secret, "serviceAccountsEnabled": true, "standardFlowEnabled": false,
	})))
	s.mustSeed(s.newApp(of, documentOf(Object{
		"clientId": "portal", "name": "Portal", "redirectUris": []string{"https://portal.example/*"}, "webOrigins": []string{"+"},
	})))
	for i := range users {
		first, last := firstNames[i%len(firstNames)], lastNames[i/len(firstNames)%len(lastNames)]
		username := strings.ToLower(first + "." + last)
		if round := i / (len(firstNames) * len(lastNames)); round > 0 {
			username += fmt.Sprint(round + 1)
		}
		s.mustSeed(s.newUser(of, documentOf(Object{
			"username": username, "email": username + "@" + of.name + ".example", "firstName": first, "lastName": last, "enabled": i%9 != 8,
			"emailVerified": i%3 != 0, "attributes": map[string][]string{"phone": {fmt.Sprintf("+62 21 555 %04d", i)}},
		})))
	}
	of.silent = false
}

func (s *Server) mustSeed(_ document, problem *answer) {
	if problem != nil {
		panic(problem.error()) // a realm of a test that begins with an object which the server itself refuses
	}
}

var (
	firstNames = []string{"Ayu", "Budi", "Citra", "Dewi", "Eko", "Fajar", "Gita", "Hadi", "Indah", "Joko"}
	lastNames  = []string{"Adi", "Halim", "Kusuma", "Lestari", "Nugroho", "Pratama", "Rahayu", "Santoso", "Utami", "Wijaya"}
)
