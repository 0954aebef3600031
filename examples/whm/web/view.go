package web

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync/examples/whm/hosting"
)

const mebibyte = 1 << 20

// sizeText formats a size in megabytes. For nil it returns unset.
func sizeText(bytes *int64, unset string) string {
	if bytes == nil {
		return unset
	}
	return fmt.Sprintf("%d MB", *bytes/mebibyte)
}

func quotaText(bytes *int64) string {
	if bytes != nil && *bytes == 0 {
		return "Unlimited"
	}
	return sizeText(bytes, "Unknown")
}

// quotaMB returns a quota as the value of a form field. An unknown quota is "".
func quotaMB(bytes *int64) string {
	if bytes == nil {
		return ""
	}
	return strconv.FormatInt(*bytes/mebibyte, 10)
}

func suspension(row hosting.WhmEmailAccount) string {
	switch {
	case row.SuspendedLogin && row.SuspendedIncoming:
		return "Suspended"
	case row.SuspendedLogin:
		return "Login suspended"
	}
	return "Incoming mail suspended"
}

func mailboxToggle(row hosting.WhmEmailAccount) templ.SafeURL {
	if row.SuspendedLogin && row.SuspendedIncoming {
		return "/mailboxes/unsuspend"
	}
	return "/mailboxes/suspend"
}

func toggleLabel(suspended bool) string {
	if suspended {
		return "Unsuspend mailbox"
	}
	return "Suspend mailbox"
}

type remoteEditView struct {
	Instance  string
	Simulated bool // whether the server is a simulated one in this process
	Email     string
	Done      string // the change that the last form made
	Problem   string // why the last form changed nothing
}

// conflictText formats a value of a conflict. A size gets a unit, in bytes unless the size is a
// number of megabytes. Other values are shown as JSON.
func conflictText(field string, value json.RawMessage) string {
	var size *int64
	if (field != "quota" && field != "disk_limit") || json.Unmarshal(value, &size) != nil {
		return string(value)
	}
	if size != nil && *size%mebibyte != 0 {
		return fmt.Sprintf("%d bytes", *size)
	}
	if field == "quota" {
		return quotaText(size)
	}
	return sizeText(size, "Unlimited")
}
