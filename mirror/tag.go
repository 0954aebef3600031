package mirror

import (
	"fmt"
	"strings"

	"gorm.io/gorm/schema"
)

// fieldTag is what the struct tag sync says of a field.
type fieldTag struct {
	role             string // "" if the tag names none: the field is content
	unordered, exact bool
	hidden, shown    bool
	limit            bool
	global           bool
	group            string
}

// parseTag reads the struct tag sync: a role, or nothing, and then options, separated by commas.
func parseTag(f *schema.Field) (tag fieldTag, err error) {
	for i, part := range strings.Split(f.Tag.Get("sync"), ",") {
		name, isGroup := strings.CutPrefix(part, "group=")
		switch {
		case part == "set":
			tag.unordered = true
		case part == "exact":
			tag.exact = true
		case part == "hidden":
			tag.hidden = true
		case part == "shown":
			tag.shown = true
		case part == "limit":
			tag.limit = true
		case part == "global":
			tag.global = true
		case isGroup && name != "":
			tag.group = name
		case i == 0:
			tag.role = part
		default:
			return tag, fmt.Errorf(`unknown option %q in the tag sync:%q; use set, exact, hidden, shown, limit, global or group=name`, part, f.Tag.Get("sync"))
		}
	}
	return tag, nil
}
