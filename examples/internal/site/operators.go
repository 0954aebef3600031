package site

import (
	"context"
	"net/http"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
)

// AdminPrefix is the path of the operators' pages.
const AdminPrefix = "/admin/sync"

const userCookie = "demo_user"

// DemoUsers are the users that a browser can choose, because the example has no login. The first
// user is the default. The last user has no role.
var DemoUsers = []string{"operator", "viewer", "nobody"}

// demoUser returns the user of a request. A real application would take the user from its session.
func demoUser(r *http.Request) string {
	if c, err := r.Cookie(userCookie); err == nil && slices.Contains(DemoUsers, c.Value) {
		return c.Value
	}
	return DemoUsers[0]
}

// Enforcer creates the roles, grants them to the demo users, and returns an enforcer for them.
func Enforcer(ctx context.Context, db *gorm.DB) (admin.Enforcer, error) {
	if err := policy.Seed(ctx, db); err != nil {
		return nil, err
	}
	for user, role := range map[string]string{"operator": admin.RoleOperator, "viewer": admin.RoleViewer} {
		if err := policy.Grant(ctx, db, user, role); err != nil {
			return nil, err
		}
	}
	return policy.NewEnforcer(ctx, db)
}

// Admin returns the handler of the operators' pages of an example, which links to the example by name.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer, name string, fields map[string]admin.Field) (http.Handler, error) {
	return admin.New(e, admin.Config{
		Prefix: AdminPrefix, Subject: demoUser, Enforcer: enforcer, Environment: "demo", Home: admin.Link{Name: name, URL: "/"}, Fields: fields,
	})
}

// changeUser stores the chosen demo user in a cookie and opens the operators' pages.
func (s *Site) changeUser(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: userCookie, Value: r.PostFormValue("user"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, AdminPrefix+"/", http.StatusSeeOther)
}
