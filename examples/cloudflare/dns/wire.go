package dns

import (
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
)

// grouped are the columns that are sent together, because a change of one of them was decided with the others.
var grouped = []string{"type", "content", "proxied"}

// fieldsOf returns what a call has to send for the columns.
func fieldsOf(want Record, columns ...string) (cfapi.Fields, error) {
	values := map[string]any{
		"name": want.Name, "type": want.Type, "content": want.Content, "proxied": want.Proxied, "ttl": want.TTL, "priority": want.Priority,
		"comment": want.Comment, "tags": append([]string{}, want.Tags...),
	}
	fields := cfapi.Fields{}
	for _, column := range columns {
		value, known := values[column]
		if !known {
			return nil, nawasync.Permanent(fmt.Errorf("change the record %s: no call of Cloudflare changes the field %s", want.Name, column))
		}
		if column == "priority" && want.Priority == nil { // only some types have one
			continue
		}
		fields[column] = value
	}
	return fields, nil
}
