package query

import (
	"strconv"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Search turns the query into what the store is asked.
func (q Query) Search(now time.Time, zone *time.Location) (tracker.Search, error) {
	var s tracker.Search
	for _, t := range q.terms {
		switch t.field {
		case "since", "created", "ended":
			from, to, err := t.times(now, zone)
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

// times are those that a term bounds: up to now by a length, or what is written.
func (t queryTerm) times(now time.Time, zone *time.Location) (from, to time.Time, err error) {
	if d, err := parseDuration(t.values[0]); t.field != "created" && err == nil {
		return now.Add(-d), to, nil
	}
	return ParseRange(t.values[0], zone)
}

// intersect bounds a time further; the zero time is no bound.
func intersect(from, to *time.Time, least, most time.Time) {
	if least.After(*from) {
		*from = least
	}
	if to.IsZero() || (!most.IsZero() && most.Before(*to)) {
		*to = most
	}
}
