package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The methods in this file change the service without a call, as somebody does in the dashboard.

// zoneNamed returns the zone with a name or an identifier.
func (s *Server) zoneNamed(name string) (*zone, *account, error) {
	for _, a := range s.accounts {
		for _, z := range a.zones {
			if z.name == name || z.id == name {
				return z, a, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("there is no zone %q", name)
}

// RemoveZone removes a zone with its records. The zone is given by its name or identifier, as in the other methods.
func (s *Server) RemoveZone(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, a, err := s.zoneNamed(name)
	if err == nil {
		a.zones = slices.DeleteFunc(a.zones, func(other *zone) bool { return other == z })
	}
	return err
}

// ZoneID returns the identifier of a zone, or "".
func (s *Server) ZoneID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, _, err := s.zoneNamed(name); err == nil {
		return z.id
	}
	return ""
}

// Forbid says whether the token of a zone's account may not see the zone.
func (s *Server) Forbid(name string, forbidden bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err == nil {
		z.forbidden = forbidden
	}
	return err
}

// Revoke makes the token of an account invalid: calls get the status, 401 or 403. 0 makes it valid again.
func (s *Server) Revoke(accountName string, status int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if a.name == accountName {
			a.token.revoked = status
			return nil
		}
	}
	return fmt.Errorf("there is no account %q", accountName)
}

// Records returns the records of a zone.
func (s *Server) Records(name string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err != nil {
		return nil
	}
	return z.listed()
}

// Put adds a record to a zone or, with Change.ID, edits one.
func (s *Server) Put(name string, c Change) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err != nil {
		return Record{}, err
	}
	record := z.records[c.ID]
	var refused *answer
	switch {
	case c.ID == "":
		record, refused = s.create(z, c)
	case record == nil:
		return Record{}, fmt.Errorf("the zone %s has no record %s", name, c.ID)
	default:
		refused = s.edit(z, record, c, false)
	}
	if refused != nil {
		return Record{}, errors.New(refused.errors[0].Message)
	}
	return *record, nil
}

// Remove removes a record.
func (s *Server) Remove(name, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err == nil && z.records[id] == nil {
		err = fmt.Errorf("the zone %s has no record %s", name, id)
	}
	if err == nil {
		z.remove(id)
	}
	return err
}

// HideRecords takes the records of a zone off the service until ShowRecords, except for keep of them, and returns
// how many it took off.
func (s *Server) HideRecords(name string, keep int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err != nil {
		return 0
	}
	for _, id := range slices.Clone(z.order[min(keep, len(z.order)):]) {
		z.hidden = append(z.hidden, z.records[id])
		z.remove(id)
	}
	return len(z.hidden)
}

// ShowRecords puts the hidden records of a zone back, and returns how many.
func (s *Server) ShowRecords(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err != nil {
		return 0
	}
	n := 0
	for _, record := range z.hidden {
		if z.checkOthers(*record) == nil {
			z.put(record)
			n++
		}
	}
	z.hidden = nil
	return n
}

// Hidden returns the number of hidden records of a zone.
func (s *Server) Hidden(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, _, err := s.zoneNamed(name)
	if err != nil {
		return 0
	}
	return len(z.hidden)
}

// Calls returns the number of calls of an operation, those that failed included.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// AllCalls returns the number of calls of each operation.
func (s *Server) AllCalls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Changes returns how often calls have changed a record: its creation and its deletion count too.
func (s *Server) Changes(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes[id]
}
