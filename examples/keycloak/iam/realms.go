package iam

import (
	"context"
	"slices"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
)

// realms is what the adapters share.
type realms struct{ api *kcapi.Client }

// check tells a service account that has lost its roles, which gets 403 for everything, from one that may not see one user.
func (r *realms) check(ctx context.Context, realm string) error {
	_, err := r.api.CountUsers(ctx, realm)
	return err
}

// mergeSet replaces the new value of a list, if the list is one of the fields to write, by what is added and removed: what
// others add or remove between the read and the write stays.
func mergeSet(fields map[string]any, name string, from, to []string) {
	if _, written := fields[name]; !written {
		return
	}
	var set kcapi.Set
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
