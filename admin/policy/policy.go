// Package policy has what the operators' pages need of casbin v2: the model, an adapter
// that keeps rules in nawasync's own table, and the roles to begin with. Package admin
// itself asks one method, Enforce, and links no casbin: hosts of another release build
// their enforcer on ModelText and the same table.
package policy

import (
	"context"
	"errors"
	"fmt"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync/admin"
)

// ModelText is the casbin model of the operators' pages: roles, and rules (subject or
// role, service or "*", permission). Hosts of another release of casbin read it with that.
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
m = g(r.sub, p.sub) && (p.service == "*" || p.service == r.service) && p.permission == r.permission
`

// Model is the casbin model of the admin pages: roles, and rules (subject or role,
// service or "*", permission).
func Model() (model.Model, error) {
	m, err := model.NewModelFromString(ModelText)
	if err != nil {
		return nil, fmt.Errorf("the casbin model: %w", err)
	}
	return m, nil
}

// Adapter keeps policies in the table nawasync_policies. It is a small casbin adapter
// on the host's gorm.DB, whose own would bring 36 modules. Safe for concurrent use.
type Adapter struct{ db *gorm.DB }

// NewAdapter returns an adapter on a database that has nawasync's schema.
func NewAdapter(db *gorm.DB) *Adapter { return &Adapter{db} }

var _ persist.Adapter = (*Adapter)(nil)

// rule is a row of the policy table.
type rule struct {
	ID     int64  `gorm:"primaryKey"`
	Kind   string // p or g
	V0, V1 string
	V2     string
}

func (rule) TableName() string { return "nawasync_policies" }

func (a *Adapter) session(ctx context.Context) *gorm.DB {
	return a.db.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard})
}

// Seed adds the rules of admin.RoleViewer and admin.RoleOperator on every service where they are
// missing; a rule that an administrator took away comes back with the next call, so
// call it where an installation begins. Give people a role with Grant.
func Seed(ctx context.Context, db *gorm.DB) error {
	rules := []rule{
		{Kind: "p", V0: admin.RoleViewer, V1: admin.EveryService, V2: admin.PermissionView},
		{Kind: "p", V0: admin.RoleOperator, V1: admin.EveryService, V2: admin.PermissionView},
		{Kind: "p", V0: admin.RoleOperator, V1: admin.EveryService, V2: admin.PermissionManage},
		{Kind: "p", V0: admin.RoleOperator, V1: admin.EveryService, V2: admin.PermissionService},
	}
	if err := NewAdapter(db).session(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&rules).Error; err != nil {
		return fmt.Errorf("write the default policies: %w", err)
	}
	return nil
}

// Grant gives a subject a role. An enforcer that has loaded its policies already sees
// it after LoadPolicy.
func Grant(ctx context.Context, db *gorm.DB, subject, role string) error {
	if subject == "" || role == "" {
		return errors.New("Grant needs a subject and a role")
	}
	return NewAdapter(db).add(ctx, "g", []string{subject, role})
}

// LoadPolicy reads all rules into the model.
func (a *Adapter) LoadPolicy(m model.Model) error {
	var rules []rule
	if err := a.session(context.Background()).Order("id").Find(&rules).Error; err != nil {
		return fmt.Errorf("read the policies: %w", err)
	}
	for _, r := range rules {
		if err := persist.LoadPolicyArray(r.words(), m); err != nil {
			return fmt.Errorf("policy %d: %w", r.ID, err)
		}
	}
	return nil
}

func (r rule) words() []string {
	if r.Kind == "g" {
		return []string{r.Kind, r.V0, r.V1}
	}
	return []string{r.Kind, r.V0, r.V1, r.V2}
}

// SavePolicy replaces all rules by the model's.
func (a *Adapter) SavePolicy(m model.Model) error {
	var rules []rule
	for _, section := range []string{"p", "g"} {
		for kind, assertion := range m[section] {
			for _, words := range assertion.Policy {
				r, err := ruleOf(kind, words)
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

func ruleOf(kind string, words []string) (rule, error) {
	if (kind == "p" && len(words) != 3) || (kind == "g" && len(words) != 2) || (kind != "p" && kind != "g") {
		return rule{}, fmt.Errorf("a rule of kind %q with %d words does not fit ModelText", kind, len(words))
	}
	words = append(append([]string{}, words...), "")
	return rule{Kind: kind, V0: words[0], V1: words[1], V2: words[2]}, nil
}

func (a *Adapter) add(ctx context.Context, kind string, words []string) error {
	r, err := ruleOf(kind, words)
	if err != nil {
		return err
	}
	return a.session(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&r).Error
}

// AddPolicy adds one rule, once.
func (a *Adapter) AddPolicy(_, kind string, words []string) error {
	return a.add(context.Background(), kind, words)
}

// RemovePolicy removes one rule.
func (a *Adapter) RemovePolicy(_, kind string, words []string) error {
	r, err := ruleOf(kind, words)
	if err != nil {
		return err
	}
	return a.session(context.Background()).Where("kind = ? AND v0 = ? AND v1 = ? AND v2 = ?", r.Kind, r.V0, r.V1, r.V2).Delete(&rule{}).Error
}

// RemoveFilteredPolicy removes the rules whose words, from one on, are these; an empty
// word is any.
func (a *Adapter) RemoveFilteredPolicy(_, kind string, from int, words ...string) error {
	tx := a.session(context.Background()).Where("kind = ?", kind)
	for i, word := range words {
		columns := []string{"v0 = ?", "v1 = ?", "v2 = ?"}
		if word == "" {
			continue
		}
		if from+i >= len(columns) {
			return fmt.Errorf("a rule has no word %d", from+i)
		}
		tx = tx.Where(columns[from+i], word)
	}
	return tx.Delete(&rule{}).Error
}
