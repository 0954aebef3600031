package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ZoneNames returns the names of the zones.
func (s *Server) ZoneNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.zones))
}

// Put changes a set without a call, as somebody does with pdnsutil. Without records, it deletes the set.
func (s *Server) Put(zoneName string, set Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.zones[zoneName]
	if z == nil {
		return fmt.Errorf("there is no zone %q", zoneName)
	}
	ttl, kind := int64(set.TTL), "REPLACE"
	c := change{Name: &set.Name, Type: &set.Type, TTL: &ttl, ChangeType: &kind, Records: &[]record{}}
	for _, r := range set.Records {
		*c.Records = append(*c.Records, record{&r.Content, r.Disabled})
	}
	if reason := z.change(c, map[setKey]bool{}); reason != "" {
		return errors.New(reason)
	}
	z.changed()
	return nil
}

// Find returns the set with a name and a type, or an empty one.
func (s *Server) Find(zoneName, name, kind string) Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z := s.zones[zoneName]; z != nil && z.sets[setKey{name, kind}] != nil {
		return *z.sets[setKey{name, kind}]
	}
	return Set{}
}
