package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

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

// Admin returns the handler of the operators' pages.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer) (http.Handler, error) {
	return admin.New(e, admin.Config{
		Prefix: AdminPrefix, Subject: demoUser, Enforcer: enforcer, Environment: "demo", Home: admin.Link{Name: "WHM", URL: "/"}, Fields: adminFields(),
	})
}

// adminFields describes the fields of the tables for the operators.
func adminFields() map[string]admin.Field {
	yesNo := admin.FormatBool("yes", "no")
	return map[string]admin.Field{
		"whm/account.disk_limit":  {Label: "Disk limit", Format: limitText("null")},
		"whm/email_account.quota": {Label: "Quota", Format: limitText("0")},
		"disk_used":               {Label: "Disk usage", Format: admin.FormatBytes(1)},
		"suspended":               {Label: "Suspended", Format: yesNo},
		"suspended_login":         {Label: "Login suspended", Format: yesNo},
		"suspended_incoming":      {Label: "Incoming mail suspended", Format: yesNo},
		"suspend_reason":          {Label: "Reason of the suspension"},
		"whm/account.plan":        {Label: "Plan"},
		"whm/account.contact":     {Label: "Contact"},
	}
}

// limitText returns a format of a number of bytes of which one value means that there is no limit.
func limitText(unlimited string) admin.Format {
	size := admin.FormatBytes(1)
	return func(value json.RawMessage, zone *time.Location) string {
		if string(value) == unlimited {
			return "unlimited"
		}
		return size(value, zone)
	}
}

// changeUser stores the chosen demo user in a cookie and opens the operators' pages.
func (s *Pages) changeUser(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: userCookie, Value: r.PostFormValue("user"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, AdminPrefix+"/", http.StatusSeeOther)
}
