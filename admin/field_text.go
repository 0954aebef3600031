package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// fieldOf returns how the application describes a field of a type.
func (p *request) fieldOf(service, typ, name string) Field {
	field, ok := p.h.config.Fields[service+"/"+typ+"."+name]
	if !ok {
		field = p.h.config.Fields[name]
	}
	field.Label = cmp.Or(field.Label, name)
	if field.FormatFor != nil {
		field.Format = p.formatFor(field)
	}
	return field
}

// formatFor returns the format of a field in the reader's language.
func (p *request) formatFor(field Field) (found Format) {
	defer func() {
		if failed := recover(); failed != nil {
			p.h.config.Logger.Error("a FormatFor of Config.Fields panicked", "field", field.Label, "panic", failed)
			found = field.Format
		}
	}()
	if found = field.FormatFor(p.language.Tag()); found == nil {
		found = field.Format
	}
	return found
}

// fieldValue is a value as the pages show it. Raw is the stored value, or "" if Text is it.
type fieldValue struct{ Text, Raw string }

// fieldValues formats values of a field. Values that differ have different texts.
func (p *request) fieldValues(f Field, values ...json.RawMessage) []fieldValue {
	out := make([]fieldValue, len(values))
	for i, value := range values {
		out[i] = p.fieldValue(f, value)
	}
	for i, a := range values {
		if f.Format == nil {
			break
		}
		for j, b := range values[:i] {
			if out[i].Text == out[j].Text && valueText(a) != valueText(b) {
				return p.fieldValues(Field{}, values...)
			}
		}
	}
	return out
}

func (p *request) fieldValue(f Field, value json.RawMessage) (shown fieldValue) {
	raw := valueText(value)
	shown = fieldValue{Text: raw}
	switch {
	case raw == "" && len(value) > 0:
		shown = fieldValue{Text: `""`}
	case string(value) == "null":
		shown = fieldValue{Text: "–", Raw: raw}
	}
	if f.Format == nil || len(value) == 0 || bytes.Contains(value, []byte(secret.Masked)) {
		return shown
	}
	stored := shown
	defer func() {
		if failed := recover(); failed != nil {
			p.h.config.Logger.Error("a format of Config.Fields panicked", "field", f.Label, "panic", failed)
			shown = stored
		}
	}()
	if text := f.Format(value, p.zone); text != "" && text != raw {
		return fieldValue{Text: text, Raw: raw}
	}
	return stored
}

// comparison has the values of one field of a conflict, of an update or of a change on the remote.
type comparison struct {
	Name, Label                   string // the column, and what people call it
	Base, Desired, Remote         fieldValue
	DesiredChanged, RemoteChanged bool // differs from Base
}

// maxChangeText is how many fields of a change a list shows, and maxChangeValue how long a value may be.
const (
	maxChangeText  = 3
	maxChangeValue = 40
)

// changeText returns what a job changes as a line of text, for example "Quota 1 GB → 700 MB", or "" if its
// arguments do not tell. A job from a list needs tracker.Reader.LoadDetails first.
func (p *request) changeText(j *tracker.Job) string {
	changes := p.changesOf(j)
	var parts []string
	for _, c := range changes[:min(len(changes), maxChangeText)] {
		from, to := format.Cut(c.Base.Text, maxChangeValue), format.Cut(c.Desired.Text, maxChangeValue)
		if c.DesiredChanged {
			parts = append(parts, c.Label+" "+from+" → "+to)
		} else {
			parts = append(parts, c.Label+" "+to) // a secret
		}
	}
	if more := len(changes) - maxChangeText; more > 0 {
		parts = append(parts, p.plural(int64(more), "1 more field", "%s more fields"))
	}
	return strings.Join(parts, ", ")
}

// changesOf returns the fields that an update sets, from its masked payload.
func (p *request) changesOf(j *tracker.Job) []comparison {
	var payload struct {
		Changes   map[string]json.RawMessage `json:"changes"`
		WriteOnly map[string]json.RawMessage `json:"write_only"`
	}
	if json.Unmarshal(j.Payload, &payload) != nil {
		return nil
	}
	list := p.compareChanged(j.Service, j.Type, payload.Changes)
	for _, name := range slices.Sorted(maps.Keys(payload.WriteOnly)) {
		if j.SnapshotState == tracker.StatePendingUpdate && !j.OwnJob {
			masked := fieldValue{Text: secret.Masked}
			list = append(list, comparison{Name: name, Label: p.fieldOf(j.Service, j.Type, name).Label, Base: masked, Desired: masked})
		}
	}
	return list
}

// compareChanged returns the fields of {"quota": {"from": 1, "to": 2}}.
func (p *request) compareChanged(service, typ string, fields map[string]json.RawMessage) (list []comparison) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		from, to := changedValue(fields[name])
		field := p.fieldOf(service, typ, name)
		values := p.fieldValues(field, from, to)
		if from == nil && to != nil {
			values[0] = p.unknownValue()
		}
		list = append(list, comparison{Name: name, Label: field.Label, Base: values[0], Desired: values[1], DesiredChanged: values[0] != values[1]})
	}
	return list
}

// compareConflict returns the fields of a job's conflict.
func (p *request) compareConflict(j *tracker.Job) []comparison {
	detail, err := j.ConflictValues()
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for _, side := range []map[string]json.RawMessage{detail.Base, detail.Desired, detail.Remote} {
		for name := range side {
			names[name] = true
		}
	}
	var list []comparison
	for _, name := range slices.Sorted(maps.Keys(names)) {
		field := p.fieldOf(j.Service, j.Type, name)
		values := p.fieldValues(field, detail.Base[name], detail.Desired[name], detail.Remote[name])
		unknown := detail.Base[name] == nil && j.SnapshotState != tracker.StatePendingCreate
		if unknown {
			values[0] = p.unknownValue()
		}
		if detail.Desired[name] == nil && len(detail.Desired) > 0 {
			values[1] = values[0] // the change leaves the field alone
		}
		differs := func(side map[string]json.RawMessage) bool {
			return side[name] != nil && (unknown || valueText(side[name]) != valueText(detail.Base[name]))
		}
		list = append(list, comparison{
			Name: name, Label: field.Label, Base: values[0], Desired: values[1], Remote: values[2],
			DesiredChanged: differs(detail.Desired), RemoteChanged: differs(detail.Remote),
		})
	}
	return list
}

// unknownValue is shown for what the user saw of a field, if the form had only a token of it and the history does not
// tell either.
func (p *request) unknownValue() fieldValue { return fieldValue{Text: p.T("unknown")} }

// changedValue returns the values of a changed field. A field that is masked as a whole has two equal ones.
func changedValue(text json.RawMessage) (from, to json.RawMessage) {
	var value struct {
		From json.RawMessage `json:"from"`
		To   json.RawMessage `json:"to"`
	}
	if json.Unmarshal(text, &value) != nil {
		return text, text
	}
	return value.From, value.To
}

// valueText returns a text without its quotes, and another value as JSON.
func valueText(value json.RawMessage) string {
	if len(value) == 0 {
		return ""
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
