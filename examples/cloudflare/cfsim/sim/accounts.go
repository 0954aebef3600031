package sim

import (
	"fmt"
	"slices"
)

func (s *Server) addAccount(name string, of *token) *account {
	a := &account{id: s.newID("account " + name), name: name, created: s.stamp(), token: of}
	s.accounts = append(s.accounts, a)
	return a
}

// seenBy returns the accounts that a token may see.
func (s *Server) seenBy(t *token) (list []*account) {
	for _, a := range s.accounts {
		if a.token == t {
			list = append(list, a)
		}
	}
	return list
}

// findAccount returns the account with an identifier, or nil.
func (s *Server) findAccount(id string) *account {
	for _, a := range s.accounts {
		if a.id == id {
			return a
		}
	}
	return nil
}

// accountNamed returns the account with a name or an identifier.
func (s *Server) accountNamed(name string) (*account, error) {
	for _, a := range s.accounts {
		if a.name == name || a.id == name {
			return a, nil
		}
	}
	return nil, fmt.Errorf("there is no account %q", name)
}

func (s *Server) verify(request) answer {
	return succeeded(map[string]any{"id": s.newID("token"), "status": "active"})
}

// accountJSON is an account as the API shows it.
func accountJSON(a *account) map[string]any {
	return map[string]any{
		"id": a.id, "name": a.name, "type": "standard", "settings": map[string]any{"enforce_twofactor": false}, "created_on": a.created,
	}
}

func (s *Server) listAccounts(r request) answer {
	var list []map[string]any
	for _, a := range s.seenBy(r.token) {
		if name := r.FormValue("name"); name == "" || name == a.name {
			list = append(list, accountJSON(a))
		}
	}
	return pageOf(r, list, 20, 50)
}

func (s *Server) getAccount(r request) answer { return succeeded(accountJSON(r.account)) }

// AddAccount adds an account with zones, each with n records, for the token of another account, and returns its
// identifier.
func (s *Server) AddAccount(sibling, name string, n int, zones ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	other, err := s.accountNamed(sibling)
	if err != nil {
		return "", err
	}
	if _, err := s.accountNamed(name); err == nil {
		return "", fmt.Errorf("the account %s exists already", name)
	}
	a := s.addAccount(name, other.token)
	for _, zone := range zones {
		s.seed(s.addZone(a, zone), n)
	}
	return a.id, nil
}

// RemoveAccount removes an account with its zones.
func (s *Server) RemoveAccount(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, err := s.accountNamed(name)
	if err == nil {
		s.accounts = slices.DeleteFunc(s.accounts, func(a *account) bool { return a == gone })
	}
	return err
}

// AccountID returns the identifier of an account, or "".
func (s *Server) AccountID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, err := s.accountNamed(name); err == nil {
		return a.id
	}
	return ""
}

// AccountNames returns the names of the accounts that the token of one of them may see.
func (s *Server) AccountNames(one string) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, err := s.accountNamed(one); err == nil {
		for _, other := range s.seenBy(a.token) {
			names = append(names, other.name)
		}
	}
	return names
}

// AddZone adds a zone with n records to an account, and returns its identifier. The account is given by its name or
// identifier, as in the other methods.
func (s *Server) AddZone(accountName, name string, n int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.accountNamed(accountName)
	if err != nil {
		return "", err
	}
	if _, _, err := s.zoneNamed(name); err == nil {
		return "", fmt.Errorf("the zone %s exists already", name)
	}
	z := s.addZone(a, name)
	s.seed(z, n)
	return z.id, nil
}

// ZoneNames returns the names of the zones that the token of an account may see.
func (s *Server) ZoneNames(accountName string) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.accountNamed(accountName)
	if err != nil {
		return nil
	}
	for _, a := range s.seenBy(one.token) {
		for _, z := range a.zones {
			names = append(names, z.name)
		}
	}
	return names
}
