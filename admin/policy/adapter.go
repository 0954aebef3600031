package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Adapter is a casbin adapter that stores the rules in the table nawasync_policies. It uses the
// application's gorm.DB: casbin's own GORM adapter would add 36 modules. It is safe for concurrent
// use.
type Adapter struct{ db *gorm.DB }

// NewAdapter returns an adapter for a database with nawasync's schema.
func NewAdapter(db *gorm.DB) *Adapter { return &Adapter{db} }

var _ persist.Adapter = (*Adapter)(nil)

func (a *Adapter) session(ctx context.Context) *gorm.DB {
	return a.db.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard})
}

// LoadPolicy adds all stored rules to the model.
func (a *Adapter) LoadPolicy(m model.Model) error {
	_, err := a.load(context.Background(), m)
	return err
}

// load returns a hash of the rules. It fails if a rule cannot be applied: without a rule that denies, too
// much would be allowed.
func (a *Adapter) load(ctx context.Context, m model.Model) (hash string, err error) {
	var rows []row
	if err := sqlkit.Primary(ctx, a.db).Order("id").Find(&rows).Error; err != nil {
		return "", fmt.Errorf("load the policies: %w", err)
	}
	sum := sha256.New()
	for _, r := range rows {
		err := r.check()
		if err == nil {
			err = persist.LoadPolicyArray(r.fields(), m)
		}
		if err != nil {
			return "", fmt.Errorf("load policy %d: %w", r.ID, err)
		}
		_, _ = fmt.Fprintf(sum, "%q\n", r.fields()) // never fails
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// SavePolicy replaces all stored rules with those of the model.
func (a *Adapter) SavePolicy(m model.Model) error {
	var rows []row
	for _, section := range []string{"p", "g"} {
		for kind, assertion := range m[section] {
			for _, values := range assertion.Policy {
				r, err := newRow(kind, values)
				if err != nil {
					return err
				}
				rows = append(rows, r)
			}
		}
	}
	return a.session(context.Background()).Transaction(func(tx *gorm.DB) error {
		if err := tx.Where("1 = 1").Delete(&row{}).Error; err != nil || len(rows) == 0 {
			return err
		}
		return tx.Create(&rows).Error
	})
}

func (a *Adapter) create(ctx context.Context, rows ...row) error {
	if len(rows) == 0 {
		return nil
	}
	return a.session(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error
}

func (a *Adapter) remove(ctx context.Context, r row) error {
	return a.session(ctx).Where("kind = ? AND v0 = ? AND v1 = ? AND v2 = ? AND instance = ? AND effect = ?",
		r.Kind, r.V0, r.V1, r.V2, r.Instance, r.Effect).Delete(&row{}).Error
}

// AddPolicy adds one rule. Adding a rule that exists changes nothing.
func (a *Adapter) AddPolicy(_, kind string, values []string) error {
	r, err := newRow(kind, values)
	if err != nil {
		return err
	}
	return a.create(context.Background(), r)
}

// RemovePolicy removes one rule.
func (a *Adapter) RemovePolicy(_, kind string, values []string) error {
	r, err := newRow(kind, values)
	if err != nil {
		return err
	}
	return a.remove(context.Background(), r)
}

// RemoveFilteredPolicy removes the rules whose values, starting with the one at index from, equal
// the given values. An empty value matches every value.
func (a *Adapter) RemoveFilteredPolicy(_, kind string, from int, values ...string) error {
	tx := a.session(context.Background()).Where("kind = ?", kind)
	for i, value := range values {
		columns := []string{"v0 = ?", "v1 = ?", "instance = ?", "v2 = ?", "effect = ?"}
		if value == "" {
			continue
		}
		if from+i >= len(columns) {
			return fmt.Errorf("remove policies: a rule has no value at index %d", from+i)
		}
		if from+i == 2 && value == admin.Every || from+i == 4 && value == effectAllow {
			value = ""
		}
		tx = tx.Where(columns[from+i], value)
	}
	return tx.Delete(&row{}).Error
}
