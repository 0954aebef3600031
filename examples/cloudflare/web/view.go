package web

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nawasara/nawasync/examples/cloudflare/dns"
)

// ttls are the times to live that the forms offer. 1 is automatic.
var ttls = []int{1, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 43200, 86400}

// ttlText names a time to live.
func ttlText(ttl int) string {
	switch {
	case ttl == 1:
		return "Automatic"
	case ttl%3600 == 0:
		return strconv.Itoa(ttl/3600) + " h"
	case ttl%60 == 0:
		return strconv.Itoa(ttl/60) + " min"
	}
	return strconv.Itoa(ttl) + " s"
}

// offered returns the times to live of a form for a row, with that of the row.
func offered(ttl int) []int {
	for _, known := range ttls {
		if known == ttl || ttl == 0 {
			return ttls
		}
	}
	return append([]int{ttl}, ttls...)
}

// priorityText returns the priority of a record, or "".
func priorityText(row dns.Record) string {
	if row.Priority == nil {
		return ""
	}
	return strconv.Itoa(*row.Priority)
}

// rowID returns the id of a row as text.
func rowID(row dns.Record) string { return strconv.FormatUint(row.ID, 10) }

// zoneStatus says what the status of a zone means.
func zoneStatus(z dns.Zone) string {
	switch {
	case z.Paused:
		return "Paused"
	case z.Status == "active":
		return "Active"
	case z.Status == "pending":
		return "Waits for its name servers"
	}
	return z.Status
}

// queuedText says how many changes were dispatched.
func queuedText(n int) string {
	if n == 1 {
		return "1 change is queued. The badge of its row shows when it is done."
	}
	return fmt.Sprintf("%d changes are queued. The badges of their rows show when they are done.", n)
}

// conflictText formats a value of a conflict: times to live by their names, and others as JSON.
func conflictText(field string, value json.RawMessage) string {
	var ttl int
	if field == "ttl" && json.Unmarshal(value, &ttl) == nil {
		return ttlText(ttl)
	}
	return string(value)
}
