package query

import (
	"slices"
	"strings"
	"time"
)

// scanner splits the text of a query into terms.
type scanner struct {
	line string
	at   int
}

// next returns the next term. It returns false at the end of the text.
func (s *scanner) next() (t queryTerm, ok bool, err error) {
	for s.at < len(s.line) && isSpace(s.line[s.at]) {
		s.at++
	}
	if s.at == len(s.line) {
		return t, false, nil
	}
	t.at = s.at
	if s.line[s.at] == '-' {
		t.not = true
		s.at++
	}
	if name, _, found := strings.Cut(s.line[s.at:], ":"); found && isName(name) {
		t.field = name
		s.at += len(name) + 1
		if s.at < len(s.line) && (s.line[s.at] == '>' || s.line[s.at] == '<') {
			t.op = s.line[s.at : s.at+1]
			s.at++
		}
	} else {
		t.field = "text"
	}
	for {
		begin := s.at
		value, err := s.value(t.field == "text")
		if err != nil {
			return t, false, err
		}
		// Jobs of a service with one instance only have the instance "".
		isEmptyInstance := t.field == "instance" && s.at > begin
		if value == "" && !isEmptyInstance {
			return t, false, &Error{
				s.line, begin, newMessage("%s: a value is missing", t.field),
				newMessage("add the value after the colon, for example %s; put \" around a value with spaces", example(t.field)),
			}
		}
		t.values = append(t.values, value)
		if s.at == len(s.line) || s.line[s.at] != ',' || t.field == "text" {
			return t, true, nil
		}
		s.at++
	}
}

// value scans a value, which may be quoted. A comma ends the value of a field, but not text.
func (s *scanner) value(text bool) (string, error) {
	if s.at < len(s.line) && s.line[s.at] == '"' {
		begin := s.at
		var b strings.Builder
		for s.at++; s.at < len(s.line); s.at++ {
			switch c := s.line[s.at]; {
			case c == '"':
				s.at++
				return b.String(), nil
			case c == '\\' && s.at+1 < len(s.line):
				s.at++
				b.WriteByte(s.line[s.at])
			default:
				b.WriteByte(c)
			}
		}
		return "", &Error{s.line, begin, newMessage("the opening \" here has no closing \""), newMessage("add a \" at the end of the value")}
	}
	begin := s.at
	for s.at < len(s.line) && !isSpace(s.line[s.at]) && (text || s.line[s.at] != ',') {
		s.at++
	}
	return s.line[begin:s.at], nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz.") == ""
}

func example(field string) string {
	return field + ":" + map[string]string{
		"status": "failed", "is": "stuck", "since": "24h", "created": "2026-08-01..", "ended": "24h", "attempts": ">3",
		"duration": ">10s", "id": "42",
	}[field]
}

// validate returns the term with its values in canonical form, or an error for an invalid term.
func (t queryTerm) validate(line string, zone *time.Location) (queryTerm, error) {
	fail := func(message, hint Message) (queryTerm, error) { return queryTerm{}, &Error{line, t.at, message, hint} }
	field := slices.IndexFunc(fields, func(f fieldSpec) bool { return f.name == t.field })
	if field < 0 {
		names := newMessage("the fields are %s; put \" around text that contains a colon", fieldNames())
		if near := closestField(t.field); near != "" {
			names = newMessage("did you mean %s:? Otherwise, %s", near, names)
		}
		return fail(newMessage("there is no field %q", t.field), names)
	}
	if t.op != "" && t.field != "attempts" && t.field != "duration" {
		return fail(newMessage("%s: %s is not supported", t.field, t.op), newMessage("only the fields attempts and duration support > and <"))
	}
	if t.not && slices.Contains([]string{"since", "created", "ended"}, t.field) {
		return fail(newMessage("-%s: this field cannot be excluded", t.field), newMessage("limit the time range with created:FROM..TO or ended:FROM..TO instead"))
	}
	single := slices.Contains([]string{"is", "since", "created", "ended", "attempts", "duration"}, t.field)
	if single && len(t.values) > 1 {
		return fail(newMessage("%s: only one value is allowed", t.field), newMessage("for example %s", example(t.field)))
	}
	for i, value := range t.values {
		canonical, ok := canonicalValue(t.field, value, zone)
		if !ok {
			return fail(newMessage("%s: %q is not a valid value", t.field, value), newMessage("use %s", fields[field].form))
		}
		t.values[i] = canonical
	}
	slices.Sort(t.values)
	t.values = slices.Compact(t.values)
	return t, nil
}

func (t queryTerm) String() string {
	var b strings.Builder
	if t.not {
		b.WriteByte('-')
	}
	if t.field != "text" {
		b.WriteString(t.field + ":" + t.op)
	}
	for i, value := range t.values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(Quote(value, t.field == "text"))
	}
	return b.String()
}

// Quote returns a value as it must be written in a query. It adds quotes if the value would be
// parsed as something else without them. text says whether the value is a search text, which
// belongs to no field.
func Quote(value string, text bool) string {
	name, _, colon := strings.Cut(value, ":")
	if value == "" || strings.ContainsAny(value, " \t\n\r\"\\,") || (text && (value[0] == '-' || (colon && isName(name)))) ||
		(!text && (value[0] == '>' || value[0] == '<')) {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	return value
}

func fieldNames() string {
	var names []string
	for _, f := range fields[:len(fields)-1] {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// closestField returns the field whose name is most similar to an unknown name, or "" if none is
// similar.
func closestField(name string) string {
	best, distance := "", 3
	for _, f := range fields {
		if d := editDistance(name, f.name); d < distance || (strings.HasPrefix(f.name, name) && len(name) > 1 && best == "") {
			best, distance = f.name, min(d, distance)
		}
	}
	return best
}

// editDistance returns the Levenshtein distance.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(before+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
