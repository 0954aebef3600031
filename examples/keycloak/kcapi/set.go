package kcapi

import (
	"encoding/json"
	"errors"
	"slices"
)

// Set is a change of a list in which order and repetition have no meaning. What others have added or removed stays.
type Set struct{ Add, Remove []string }

// MergeSet replaces the new value of a list, if the list is one of the fields to write, by what is added and removed: what
// others add or remove between the read and the write stays.
func MergeSet(fields map[string]any, name string, from, to []string) {
	if _, written := fields[name]; !written {
		return
	}
	var set Set
	for _, text := range to {
		if !slices.Contains(from, text) {
			set.Add = append(set.Add, text)
		}
	}
	for _, text := range from {
		if !slices.Contains(to, text) {
			set.Remove = append(set.Remove, text)
		}
	}
	fields[name] = set
}

// apply returns a list with the changes.
func (s Set) apply(current json.RawMessage) ([]string, error) {
	var list []string
	if current != nil {
		if err := json.Unmarshal(current, &list); err != nil {
			return nil, errors.New("it is not a list of texts")
		}
	}
	out := []string{}
	seen := map[string]bool{}
	for _, text := range s.Remove {
		seen[text] = true
	}
	for _, text := range append(list, s.Add...) {
		if !seen[text] {
			out, seen[text] = append(out, text), true
		}
	}
	return out, nil
}
