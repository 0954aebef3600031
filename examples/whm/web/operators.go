package web

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/site"
)

// Enforcer returns the permissions of the demo users.
func Enforcer(ctx context.Context, db *gorm.DB) (admin.Enforcer, error) {
	return site.Enforcer(ctx, db)
}

// Admin returns the handler of the operators' pages.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer) (http.Handler, error) {
	return site.Admin(e, enforcer, "WHM", adminFields())
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
