package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/site"
)

// Admin returns the handler of the operators' pages.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer) (http.Handler, error) {
	yesNo := admin.FormatBool("yes", "no")
	return site.Admin(e, enforcer, "Cloudflare", map[string]admin.Field{
		"ttl":                        {Label: "TTL", Format: formatTTL},
		"proxied":                    {Label: "Proxied", Format: yesNo},
		"proxiable":                  {Label: "Can be proxied", Format: yesNo},
		"cloudflare/dns_record.zone": {Label: "Zone"},
		"cloudflare/account.kind":    {Label: "Type"},
		"account_id":                 {Label: "Identifier"},
		"cloudflare/dns_record.rid":  {Label: "Identifier"},
		"cloudflare/zone.zone_id":    {Label: "Identifier"},
		"modified_on":                {Label: "Last change at Cloudflare"},
		"name_servers":               {Label: "Name servers"},
		"cloudflare/dns_record.tags": {Label: "Tags"},
	})
}

func formatTTL(value json.RawMessage, _ *time.Location) string {
	var ttl int
	if json.Unmarshal(value, &ttl) != nil {
		return string(value)
	}
	return ttlText(ttl)
}
