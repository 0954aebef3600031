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
	"github.com/casbin/casbin/v2/persist"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ModelText is the casbin model of the operator pages. It has roles, and rules that consist of a
// subject or role, a service or "*", and a permission. The names of roles begin with RolePrefix, and a
// subject with such a name has no permission: casbin counts every name as a role of itself, so a subject
// named like a role would have the role.
const ModelText = `
[request_definition]
r = sub, service, permission
[policy_definition]
p = sub, service, permission
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = !keyMatch(r.sub, "role:*") && g(r.sub, p.sub) && (p.service == "*" || p.service == r.service) && p.permission == r.permission
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

// Adapter is a casbin adapter that stores the rules in the table nawasync_policies. It uses the
// application's gorm.DB: casbin's own GORM adapter would add 36 modules. It is safe for concurrent
// use.
type Adapter struct{ db *gorm.DB }

// NewAdapter returns an adapter for a database with nawasync's schema.
func NewAdapter(db *gorm.DB) *Adapter { return &Adapter{db} }

var _ persist.Adapter = (*Adapter)(nil)

// rule is a row of the policy table.
type rule struct {
	ID     int64  `gorm:"primaryKey"`
	Kind   string // "p" for a permission of a subject or role, "g" for a role of a subject
	V0, V1 string
	V2     string
}

func (rule) TableName() string { return "nawasync_policies" }

func (a *Adapter) session(ctx context.Context) *gorm.DB {
	return a.db.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard})
}

// Seed adds the rules of admin.RoleViewer and admin.RoleOperator, for every service, if they are
// missing. Call it once, when an application is installed: a later call adds rules again that an
// administrator has removed. Use Grant to give a role to a person.
func Seed(ctx context.Context, db *gorm.DB) error {
	rules := []rule{
		{Kind: "p", V0: admin.RoleViewer, V1: admin.EveryService, V2: admin.PermissionView},
		{Kind: "p", V0: admin.RoleOperator, V1: admin.EveryService, V2: admin.PermissionView},
		{Kind: "p", V0: admin.RoleOperator, V1: admin.EveryService, V2: admin.PermissionManage},
		{Kind: "p", V0: admin.RoleOperator, V1: admin.EveryService, V2: admin.PermissionService},
	}
	if err := NewAdapter(db).session(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&rules).Error; err != nil {
		return fmt.Errorf("seed the default policies: %w", err)
	}
	return nil
}

// Grant gives a role to a subject. It adds RolePrefix to the role if it is missing. Granting a role twice
// changes nothing. An existing enforcer applies the grant after its next LoadPolicy.
func Grant(ctx context.Context, db *gorm.DB, subject, role string) error {
	if subject == "" || role == "" {
		return errors.New("grant a role: the subject or the role is empty")
	}
	if strings.HasPrefix(subject, RolePrefix) {
		return fmt.Errorf("grant role %s to %s: a subject must not have the name of a role", role, subject)
	}
	if err := NewAdapter(db).add(ctx, "g", []string{subject, Role(role)}); err != nil {
		return fmt.Errorf("grant role %s to %s: %w", role, subject, err)
	}
	return nil
}

// LoadPolicy adds all stored rules to the model.
func (a *Adapter) LoadPolicy(m model.Model) error {
	var rules []rule
	if err := sqlkit.Primary(context.Background(), a.db).Order("id").Find(&rules).Error; err != nil {
		return fmt.Errorf("load the policies: %w", err)
	}
	for _, r := range withPrefix(rules) {
		if err := persist.LoadPolicyArray(r.fields(), m); err != nil {
			return fmt.Errorf("load policy %d: %w", r.ID, err)
		}
	}
	return nil
}

// withPrefix adds RolePrefix to the roles in the rules of an earlier release, which had none. A rule for
// permissions then concerns a role if somebody has this role, or if it is one of Seed's.
func withPrefix(rules []rule) []rule {
	roles := map[string]bool{Role(admin.RoleViewer): true, Role(admin.RoleOperator): true}
	for _, r := range rules {
		if r.Kind == "g" {
			roles[Role(r.V1)] = true
		}
	}
	for i, r := range rules {
		switch {
		case r.Kind == "g":
			rules[i].V1 = Role(r.V1)
		case roles[Role(r.V0)]:
			rules[i].V0 = Role(r.V0)
		}
	}
	return rules
}

// fields returns the rule as casbin represents it: the kind and then the values.
func (r rule) fields() []string {
	if r.Kind == "g" {
		return []string{r.Kind, r.V0, r.V1}
	}
	return []string{r.Kind, r.V0, r.V1, r.V2}
}

// SavePolicy replaces all stored rules with those of the model.
func (a *Adapter) SavePolicy(m model.Model) error {
	var rules []rule
	for _, section := range []string{"p", "g"} {
		for kind, assertion := range m[section] {
			for _, values := range assertion.Policy {
				r, err := newRule(kind, values)
				if err != nil {
					return err
				}
				rules = append(rules, r)
			}
		}
	}
	return a.session(context.Background()).Transaction(func(tx *gorm.DB) error {
		if err := tx.Where("1 = 1").Delete(&rule{}).Error; err != nil || len(rules) == 0 {
			return err
		}
		return tx.Create(&rules).Error
	})
}

func newRule(kind string, values []string) (rule, error) {
	if (kind == "p" && len(values) != 3) || (kind == "g" && len(values) != 2) || (kind != "p" && kind != "g") {
		return rule{}, fmt.Errorf("a rule of kind %q with %d values does not fit ModelText", kind, len(values))
	}
	values = append(append([]string{}, values...), "")
	return rule{Kind: kind, V0: values[0], V1: values[1], V2: values[2]}, nil
}

func (a *Adapter) add(ctx context.Context, kind string, values []string) error {
	r, err := newRule(kind, values)
	if err != nil {
		return err
	}
	return a.session(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&r).Error
}

// AddPolicy adds one rule. Adding a rule that exists changes nothing.
func (a *Adapter) AddPolicy(_, kind string, values []string) error {
	return a.add(context.Background(), kind, values)
}

// storedAs returns the forms in which the table may have a value: an earlier release stored roles without
// RolePrefix.
func storedAs(value string) []string {
	if name, ok := strings.CutPrefix(value, RolePrefix); ok {
		return []string{value, name}
	}
	return []string{value}
}

// RemovePolicy removes one rule.
func (a *Adapter) RemovePolicy(_, kind string, values []string) error {
	r, err := newRule(kind, values)
	if err != nil {
		return err
	}
	return a.session(context.Background()).Where("kind = ? AND v0 IN ? AND v1 IN ? AND v2 = ?", r.Kind, storedAs(r.V0), storedAs(r.V1), r.V2).Delete(&rule{}).Error
}

// RemoveFilteredPolicy removes the rules whose values, starting with the one at index from, equal
// the given values. An empty value matches every value.
func (a *Adapter) RemoveFilteredPolicy(_, kind string, from int, values ...string) error {
	tx := a.session(context.Background()).Where("kind = ?", kind)
	for i, value := range values {
		columns := []string{"v0 IN ?", "v1 IN ?", "v2 IN ?"}
		if value == "" {
			continue
		}
		if from+i >= len(columns) {
			return fmt.Errorf("remove policies: a rule has no value at index %d", from+i)
		}
		tx = tx.Where(columns[from+i], storedAs(value))
	}
	return tx.Delete(&rule{}).Error
}
