package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// query is a parsed query line: what a list shows, and what a bulk act or an export
// covers. Its text is canonical: two lines that mean the same have one text.
type query struct {
	terms []term
}

// term is one condition of a query line.
type term struct {
	field  string
	values []string
	op     string // ">" or "<"
	not    bool
	at     int // where it stands in the line, in bytes
}

// queryError is a term that cannot be answered. It points at its place.
type queryError struct {
	line    string
	at      int // in bytes
	message said
	hint    said
}

func (e *queryError) Error() string { return e.message.String() }

// caret is the line's beginning up to the mistake, for the mark beneath it.
func (e *queryError) caret() string {
	return strings.Repeat(" ", len([]rune(e.line[:min(e.at, len(e.line))]))) + "^"
}

// queryField is what a term may ask about, and how its values look.
type queryField struct {
	name string
	form said
}

// fields are all of them, in their canonical order.
var fields = []queryField{
	{"status", say("queued, running, success, failed, conflict, skipped or cancelled")},
	{"is", say("open, stuck, repaired or deleted")},
	{"service", said{}},
	{"type", said{}},
	{"instance", said{}},
	{"action", said{}},
	{"target", said{}},
	{"by", said{}},
	{"source", say("manual, scheduled, event, api or retry")},
	{"class", said{}},
	{"error", said{}},
	{"id", say("a number")},
	{"retry", say("a number")},
	{"attempts", say("a number, >3 or <3")},
	{"duration", say("a time such as 10s, >10s or <2m")},
	{"since", say("a time such as 15m, 24h or 30d")},
	{"created", say("a day or a time, or two of them with .. between")},
	{"ended", say("a time such as 24h, or a day, or two days or times with .. between")},
	{"text", said{}},
}

const maxQuery = 2000

// parseQuery reads a query line. Times without an offset are in the zone.
func parseQuery(line string, zone *time.Location) (q query, err error) {
	if len(line) > maxQuery {
		return q, &queryError{line[:80] + "…", 0, say("the query is longer than %d bytes", maxQuery), say("ask in parts")}
	}
	s := scanner{line: strings.ToValidUTF8(line, "\uFFFD")}
	for {
		t, ok, err := s.next()
		if err != nil {
			return query{}, err
		}
		if !ok {
			break
		}
		if t, err = t.check(s.line, zone); err != nil {
			return query{}, err
		}
		q.terms = append(q.terms, t)
	}
	return q.ordered(), nil
}

type scanner struct {
	line string
	at   int
}

func (s *scanner) next() (t term, ok bool, err error) {
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
		if value == "" {
			return t, false, &queryError{s.line, begin, say("%s: needs a value here", t.field), say("write it right behind, for instance %s; a value with spaces goes between \"", example(t.field))}
		}
		t.values = append(t.values, value)
		if s.at == len(s.line) || s.line[s.at] != ',' || t.field == "text" {
			return t, true, nil
		}
		s.at++
	}
}

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
		return "", &queryError{s.line, begin, say("the \" that opens here is not closed"), say("add a \" at the end of the value")}
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
	return field + ":" + map[string]string{"status": "failed", "is": "stuck", "since": "24h", "created": "2026-08-01..", "ended": "24h", "attempts": ">3", "duration": ">10s", "id": "42"}[field]
}

// check refuses what cannot be answered, and brings values into their canonical form.
func (t term) check(line string, zone *time.Location) (term, error) {
	fail := func(message, hint said) (term, error) { return term{}, &queryError{line, t.at, message, hint} }
	field := slices.IndexFunc(fields, func(f queryField) bool {
		return f.name == t.field
	})
	if field < 0 {
		names := say("the fields are %s; text with a colon goes between \"", fieldNames())
		if near := nearest(t.field); near != "" {
			names = say("did you mean %s:? %s", near, names)
		}
		return fail(say("there is no field %q", t.field), names)
	}
	if t.op != "" && t.field != "attempts" && t.field != "duration" {
		return fail(say("%s: does not compare with %s", t.field, t.op), say("only attempts: and duration: do"))
	}
	if t.not && slices.Contains([]string{"since", "created", "ended"}, t.field) {
		return fail(say("-%s: cannot be answered", t.field), say("bound the time with created:FROM..TO or ended:FROM..TO instead"))
	}
	single := slices.Contains([]string{"is", "since", "created", "ended", "attempts", "duration"}, t.field)
	if single && len(t.values) > 1 {
		return fail(say("%s: takes one value", t.field), say("for instance %s", example(t.field)))
	}
	for i, value := range t.values {
		canonical, ok := canonicalValue(t.field, value, zone)
		if !ok {
			return fail(say("%s: cannot be %q", t.field, value), say("it is %s", fields[field].form))
		}
		t.values[i] = canonical
	}
	slices.Sort(t.values)
	t.values = slices.Compact(t.values)
	return t, nil
}

func canonicalValue(field, value string, zone *time.Location) (string, bool) {
	oneOf := func(list ...string) (string, bool) {
		lower := strings.ToLower(value)
		return lower, slices.Contains(list, lower)
	}
	switch field {
	case "status":
		var list []string
		for _, status := range tracker.Statuses() {
			list = append(list, string(status))
		}
		return oneOf(list...)
	case "is":
		return oneOf("open", "stuck", "repaired", "deleted")
	case "source":
		return oneOf("manual", "scheduled", "event", "api", "retry")
	case "id", "retry":
		n, err := strconv.ParseInt(value, 10, 64)
		return strconv.FormatInt(n, 10), err == nil && n > 0
	case "attempts":
		n, err := strconv.ParseInt(value, 10, 32)
		return strconv.FormatInt(n, 10), err == nil && n >= 0
	case "duration", "since":
		d, err := parseDuration(value)
		return value, err == nil && d >= 0 && (d > 0 || field == "duration")
	case "created", "ended":
		if d, err := parseDuration(value); field == "ended" && err == nil {
			return value, d > 0
		}
		_, _, err := parseRange(value, zone)
		return value, err == nil
	}
	return value, true
}

func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 36500 {
			return 0, fmt.Errorf("%q is no number of days", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// parseRange reads A..B, A.., ..B, or a day alone, which is all of that day in the
// zone. The end is exclusive; a day as the end is up to its end.
func parseRange(text string, zone *time.Location) (from, to time.Time, err error) {
	left, right, both := strings.Cut(text, "..")
	if left == "" && right == "" {
		return from, to, fmt.Errorf("%q names no time", text)
	}
	if left != "" {
		if from, _, err = parseMoment(left, zone); err != nil {
			return from, to, err
		}
	}
	if !both {
		right = left
	}
	if right != "" {
		_, to, err = parseMoment(right, zone)
	}
	return from, to, err
}

// minuteOf is a minute as the pages' own links write it: with its offset, so that they mean
// the same to whoever they are sent to.
const minuteOf = "2006-01-02T15:04Z07:00"

// parseMoment returns a time and the end of what it names: of a day, or of a minute.
func parseMoment(text string, zone *time.Location) (begin, end time.Time, err error) {
	if t, err := time.ParseInLocation("2006-01-02", text, zone); err == nil {
		return t, t.AddDate(0, 0, 1), nil
	}
	if t, err := time.ParseInLocation("2006-01-02T15:04", text, zone); err == nil {
		return t, t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(minuteOf, text)
	}
	return t, t, err
}

// ordered is the query with its terms in their canonical order.
func (q query) ordered() query {
	rank := func(t term) int {
		return slices.IndexFunc(fields, func(f queryField) bool {
			return f.name == t.field
		})
	}
	slices.SortStableFunc(q.terms, func(a, b term) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.String(), b.String()))
	})
	q.terms = slices.CompactFunc(q.terms, func(a, b term) bool { return a.String() == b.String() })
	return q
}

// String is the canonical line.
func (q query) String() string {
	parts := make([]string, len(q.terms))
	for i, t := range q.terms {
		parts[i] = t.String()
	}
	return strings.Join(parts, " ")
}

func (t term) String() string {
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
		b.WriteString(quoted(value, t.field == "text"))
	}
	return b.String()
}

// quoted is a value as it stands in a line: between quotes where it would be read as
// something else.
func quoted(value string, text bool) string {
	name, _, colon := strings.Cut(value, ":")
	if value == "" || strings.ContainsAny(value, " \t\n\r\"\\,") || (text && (value[0] == '-' || (colon && isName(name)))) || (!text && (value[0] == '>' || value[0] == '<')) {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	return value
}

// with is the query with a field's terms replaced; no values takes them out.
func (q query) with(field string, values ...string) query {
	out := query{terms: slices.DeleteFunc(slices.Clone(q.terms), func(t term) bool { return t.field == field && !t.not })}
	if len(values) > 0 {
		values = slices.Clone(values)
		slices.Sort(values)
		out.terms = append(out.terms, term{field: field, values: slices.Compact(values)})
	}
	return out.ordered()
}

// values are those of a field's plain term.
func (q query) values(field string) []string {
	for _, t := range q.terms {
		if t.field == field && !t.not && t.op == "" {
			return t.values
		}
	}
	return nil
}

func (q query) value(field string) string { return strings.Join(q.values(field), ",") }

// search turns the query into what the store is asked.
func (q query) search(now time.Time, zone *time.Location) (tracker.Search, error) {
	var s tracker.Search
	for _, t := range q.terms {
		switch t.field {
		case "since", "created", "ended":
			from, to, err := t.times(now, zone)
			if err != nil {
				return s, err
			}
			if t.field == "ended" {
				narrow(&s.EndedFrom, &s.EndedTo, from, to)
			} else {
				narrow(&s.From, &s.To, from, to)
			}
		case "is":
			switch t.values[0] {
			case "open":
				s.Terms = append(s.Terms, tracker.Term{Field: tracker.FieldStatus, Values: []string{string(tracker.Queued), string(tracker.Running)}, Not: t.not})
			case "deleted":
				s.Deleted = !t.not
			default:
				s.Terms = append(s.Terms, tracker.Term{Field: tracker.Field(t.values[0]), Not: t.not})
			}
		case "duration":
			d, err := parseDuration(t.values[0])
			if err != nil {
				return s, err
			}
			s.Terms = append(s.Terms, tracker.Term{Field: tracker.FieldDuration, Values: []string{strconv.FormatInt(d.Milliseconds(), 10)}, Op: t.op, Not: t.not})
		default:
			s.Terms = append(s.Terms, tracker.Term{Field: tracker.Field(t.field), Values: t.values, Op: t.op, Not: t.not})
		}
	}
	return s, nil
}

// times are those that a term bounds: up to now by a length, or what is written.
func (t term) times(now time.Time, zone *time.Location) (from, to time.Time, err error) {
	if d, err := parseDuration(t.values[0]); t.field != "created" && err == nil {
		return now.Add(-d), to, nil
	}
	return parseRange(t.values[0], zone)
}

// narrow bounds a time further; the zero time is no bound.
func narrow(from, to *time.Time, least, most time.Time) {
	if least.After(*from) {
		*from = least
	}
	if to.IsZero() || (!most.IsZero() && most.Before(*to)) {
		*to = most
	}
}

func fieldNames() string {
	var names []string
	for _, f := range fields[:len(fields)-1] {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// nearest is the field that is meant, as far as one can tell.
func nearest(name string) string {
	best, distance := "", 3
	for _, f := range fields {
		if d := editDistance(name, f.name); d < distance || (strings.HasPrefix(f.name, name) && len(name) > 1 && best == "") {
			best, distance = f.name, min(d, distance)
		}
	}
	return best
}

// editDistance is Levenshtein's.
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

// paged is a search for the limit jobs below before; 0 is the newest.
func paged(s tracker.Search, before int64, limit int) tracker.Search {
	s.Before, s.Limit = before, limit
	return s
}
