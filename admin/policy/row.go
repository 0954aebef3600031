package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/admin"
)

// row is a row of the policy table. V1 of a grant is the role; the other texts of a grant are empty.
type row struct {
	ID       int64  `gorm:"primaryKey"`
	Kind     string // "p" for a Rule, "g" for a role of a subject
	V0       string // the subject or role
	V1       string // the service
	V2       string // the permission
	Instance string // "" is every instance
	Effect   string // "" allows, "deny" denies
}

func (row) TableName() string { return "nawasync_policies" }

const (
	effectAllow = "allow"
	effectDeny  = "deny"
)

func (r Rule) row() (row, error) {
	effect := effectAllow
	if r.Deny {
		effect = effectDeny
	}
	return newRow("p", []string{r.Subject, r.Service, r.Instance, r.Permission, effect})
}

// newRow returns the row of a rule as casbin represents it: the kind and the values in the order of
// ModelText.
func newRow(kind string, values []string) (row, error) {
	switch {
	case kind == "g" && len(values) == 2:
		r := row{Kind: kind, V0: values[0], V1: values[1]}
		return r, r.check()
	case kind != "p" || len(values) != 5:
		return row{}, fmt.Errorf("a rule of kind %q with %d values does not fit ModelText: a rule is subject, service, instance, permission, allow or deny", kind, len(values))
	}
	r := row{Kind: kind, V0: values[0], V1: values[1], V2: values[3], Instance: values[2], Effect: values[4]}
	if r.Instance == admin.Every {
		r.Instance = ""
	}
	if r.Effect == effectAllow {
		r.Effect = ""
	}
	return r, r.check()
}

// check returns an error for a rule that would not do what it says.
func (r row) check() error {
	if r.Kind == "g" {
		if !strings.HasPrefix(r.V1, RolePrefix) {
			return fmt.Errorf("%s has the role %q; the name of a role begins with %s", r.V0, r.V1, RolePrefix)
		}
		return nil
	}
	switch {
	case r.V0 == "" || r.V1 == "" || r.V2 == "":
		return fmt.Errorf("the rule of %q lacks a subject, service or permission", r.V0)
	case !slices.Contains([]string{admin.PermissionView, admin.PermissionManage, admin.PermissionService}, r.V2):
		return fmt.Errorf("the rule of %q has the unknown permission %q", r.V0, r.V2)
	case r.Effect != "" && r.Effect != effectDeny:
		return fmt.Errorf("the rule of %q has the effect %q; write allow or deny", r.V0, r.Effect)
	case strings.Contains(r.Instance, "*"):
		return fmt.Errorf("the rule of %q has the instance %q; write a name, which covers all instances below it, or \"*\" for all", r.V0, r.Instance)
	case len(r.Instance) > 0 && strings.Trim(r.Instance, "/") != r.Instance:
		return fmt.Errorf("the rule of %q has the instance %q; write it without a slash at its beginning or end", r.V0, r.Instance)
	case strings.Contains(r.V1, "*") && r.V1 != admin.Every:
		return fmt.Errorf("the rule of %q has the service %q; write a service, or \"*\" for all", r.V0, r.V1)
	}
	return nil
}

// fields returns the rule as casbin represents it: the kind and then the values.
func (r row) fields() []string {
	if r.Kind == "g" {
		return []string{r.Kind, r.V0, r.V1}
	}
	instance, effect := r.Instance, r.Effect
	if instance == "" {
		instance = admin.Every
	}
	if effect == "" {
		effect = effectAllow
	}
	return []string{r.Kind, r.V0, r.V1, instance, r.V2, effect}
}
