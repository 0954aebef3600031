package query

import (
	"strconv"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Search returns the query as a search of the store. Relative times count from now; times without an
// offset are in the zone.
func (q Query) Search(now time.Time, zone *time.Location) (tracker.Search, error) {
	var s tracker.Search
	for _, t := range q.terms {
		switch t.field {
		case "since", "created", "ended":
			from, to, err := t.timeRange(now, zone)
			if err != nil {
				return s, err
			}
			if t.field == "ended" {
				intersect(&s.EndedFrom, &s.EndedTo, from, to)
			} else {
				intersect(&s.From, &s.To, from, to)
			}
		case "is":
			switch t.values[0] {
			case "open":
				open := []string{string(tracker.StatusQueued), string(tracker.StatusRunning)}
				s.Terms = append(s.Terms, tracker.Term{Field: tracker.FieldStatus, Values: open, Not: t.not})
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

// timeRange returns the time range of a term such as since:24h or ended:2026-08-01. A zero time means
// no bound.
func (t queryTerm) timeRange(now time.Time, zone *time.Location) (from, to time.Time, err error) {
	if d, err := parseDuration(t.values[0]); t.field != "created" && err == nil {
		return now.Add(-d), to, nil
	}
	return ParseRange(t.values[0], zone)
}

// intersect narrows the range from, to by another range. A zero time means no bound.
func intersect(from, to *time.Time, otherFrom, otherTo time.Time) {
	if otherFrom.After(*from) {
		*from = otherFrom
	}
	if to.IsZero() || (!otherTo.IsZero() && otherTo.Before(*to)) {
		*to = otherTo
	}
}
