package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/casbin/casbin/v2"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
)

// AdminPrefix is where the operators' pages are.
const AdminPrefix = "/admin/sync"

const userCookie = "demo_user"

// DemoUsers may be chosen on the operators' pages in place of a login. The first is the
// default; the last has no role.
var DemoUsers = []string{"operator", "viewer", "nobody"}

// demoUser says who asks. A real application asks its session.
func demoUser(r *http.Request) string {
	if c, err := r.Cookie(userCookie); err == nil && slices.Contains(DemoUsers, c.Value) {
		return c.Value
	}
	return DemoUsers[0]
}

// Enforcer knows the roles of the demo users.
func Enforcer(ctx context.Context, db *gorm.DB) (admin.Enforcer, error) {
	if err := policy.Seed(ctx, db); err != nil {
		return nil, err
	}
	for user, role := range map[string]string{"operator": admin.RoleOperator, "viewer": admin.RoleViewer} {
		if err := policy.Grant(ctx, db, user, role); err != nil {
			return nil, err
		}
	}
	model, err := policy.Model()
	if err != nil {
		return nil, err
	}
	return casbin.NewSyncedEnforcer(model, policy.NewAdapter(db))
}

// Admin makes the operators' pages.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer) (http.Handler, error) {
	return admin.New(e, admin.Config{
		Prefix: AdminPrefix, Subject: demoUser, Enforcer: enforcer, Environment: "demo", Home: admin.Link{Name: "WHM", URL: "/"},
	})
}

// changeUser makes the browser another demo user's.
func (w *Pages) changeUser(rw http.ResponseWriter, r *http.Request) {
	http.SetCookie(rw, &http.Cookie{Name: userCookie, Value: r.PostFormValue("user"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(rw, r, AdminPrefix+"/", http.StatusSeeOther)
}
