// Package policy provides what the operator pages need from casbin v2: the model, an adapter that
// stores the rules in nawasync's own table, and the default roles. Package admin itself only calls
// Enforcer.Enforce and does not import casbin. An application with another major version of casbin
// can build its enforcer from ModelText and the same table.
package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/casbin/casbin/v2/model"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/admin"
)

// ModelText is the casbin model of the operator pages. A rule allows or denies a subject or role one
// permission on an instance of a service. "*" stands for every service or instance, and a rule for an
// instance also covers the instances whose names continue its name after a slash: "main" covers "main/a"
// and not "main2". A rule that denies wins over all that allow.
//
// The names of roles begin with RolePrefix, and a subject with such a name has no permission: casbin
// counts every name as a role of itself, so a subject named like a role would have the role. A request
// for "*" asks about every service or instance; a rule that denies one of them denies it.
const ModelText = `
[request_definition]
r = sub, service, instance, permission
[policy_definition]
p = sub, service, instance, permission, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = p.permission == r.permission && \
  (p.service == "*" || p.service == r.service || (p.eft == "deny" && r.service == "*")) && \
  (p.instance == "*" || p.instance == r.instance || keyMatch(r.instance, p.instance + "/*") || (p.eft == "deny" && r.instance == "*")) && \
  !keyMatch(r.sub, "role:*") && g(r.sub, p.sub)
`

// RolePrefix begins the name of every role.
const RolePrefix = "role:"

// Role returns the name of a role with RolePrefix, as rules have it.
func Role(name string) string {
	if strings.HasPrefix(name, RolePrefix) {
		return name
	}
	return RolePrefix + name
}

// Model parses ModelText.
func Model() (model.Model, error) {
	m, err := model.NewModelFromString(ModelText)
	if err != nil {
		return nil, fmt.Errorf("parse the casbin model: %w", err)
	}
	return m, nil
}

// Rule allows or denies a subject or a role one permission.
type Rule struct {
	// Subject is the name of a subject, or of a role with RolePrefix.
	Subject string
	// Service is a service, or admin.Every for all.
	Service string
	// Instance is an instance of the service, and all instances whose names continue its name after a
	// slash. Empty or admin.Every is all instances.
	Instance string
	// Permission is one of the permissions of package admin.
	Permission string
	// Deny denies the permission, whatever other rules allow.
	Deny bool
}

// Add stores rules. Adding a rule that exists changes nothing. Processes with an Enforcer apply the rules
// at once, other casbin enforcers after their next LoadPolicy.
func Add(ctx context.Context, db *gorm.DB, rules ...Rule) error {
	rows := make([]row, len(rules))
	for i, r := range rules {
		var err error
		if rows[i], err = r.row(); err != nil {
			return fmt.Errorf("add a policy: %w", err)
		}
	}
	if err := NewAdapter(db).create(ctx, rows...); err != nil {
		return fmt.Errorf("add policies: %w", err)
	}
	return nil
}

// Remove deletes rules. Removing a rule that does not exist changes nothing.
func Remove(ctx context.Context, db *gorm.DB, rules ...Rule) error {
	for _, r := range rules {
		stored, err := r.row()
		if err == nil {
			err = NewAdapter(db).remove(ctx, stored)
		}
		if err != nil {
			return fmt.Errorf("remove a policy: %w", err)
		}
	}
	return nil
}

// Seed adds the rules of admin.RoleViewer and admin.RoleOperator, for every service, if they are
// missing. Call it once, when an application is installed: a later call adds rules again that an
// administrator has removed. Use Grant to give a role to a person.
func Seed(ctx context.Context, db *gorm.DB) error {
	return Add(ctx, db,
		Rule{Subject: admin.RoleViewer, Service: admin.Every, Permission: admin.PermissionView},
		Rule{Subject: admin.RoleOperator, Service: admin.Every, Permission: admin.PermissionView},
		Rule{Subject: admin.RoleOperator, Service: admin.Every, Permission: admin.PermissionManage},
		Rule{Subject: admin.RoleOperator, Service: admin.Every, Permission: admin.PermissionService},
	)
}

// Grant gives a role to a subject. It adds RolePrefix to the role if it is missing. Granting a role twice
// changes nothing.
func Grant(ctx context.Context, db *gorm.DB, subject, role string) error {
	stored, err := grant(subject, role)
	if err == nil {
		err = NewAdapter(db).create(ctx, stored)
	}
	if err != nil {
		return fmt.Errorf("grant role %s to %s: %w", role, subject, err)
	}
	return nil
}

// Revoke takes a role from a subject. Revoking a role that the subject does not have changes nothing.
func Revoke(ctx context.Context, db *gorm.DB, subject, role string) error {
	stored, err := grant(subject, role)
	if err == nil {
		err = NewAdapter(db).remove(ctx, stored)
	}
	if err != nil {
		return fmt.Errorf("revoke role %s of %s: %w", role, subject, err)
	}
	return nil
}

func grant(subject, role string) (row, error) {
	switch {
	case subject == "" || role == "":
		return row{}, errors.New("the subject or the role is empty")
	case strings.HasPrefix(subject, RolePrefix):
		return row{}, errors.New("a subject must not have the name of a role")
	}
	return newRow("g", []string{subject, Role(role)})
}
