package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// runList is nawasync jobs list.
func runList(ctx context.Context, c *call) error {
	o := c.connect()
	search := tracker.Search{}
	terms := map[tracker.Field]*string{}
	for field, help := range map[tracker.Field]string{
		tracker.FieldService: "of the service, or several: a,b", tracker.FieldType: "of the type of object", tracker.FieldAction: "of the action",
		tracker.FieldInstance: "of the instance", tracker.FieldStatus: "of the status, or several: failed,conflict",
	} {
		terms[field] = c.flags.String(string(field), "", "only jobs with this `name` "+help)
	}
	since := c.flags.Duration("since", 0, "only jobs that were dispatched within this `time`, for example 24h")
	c.flags.IntVar(&search.Limit, "limit", 50, "the `number` of jobs, up to 500")
	c.flags.Int64Var(&search.Before, "before", 0, "only jobs older than the job with this `id`, as a list says at its end")
	if _, err := c.parse(0, 0); err != nil {
		return err
	}
	for field, value := range terms {
		if *value != "" {
			search.Terms = append(search.Terms, tracker.Term{Field: field, Values: strings.Split(*value, ",")})
		}
	}
	for status := range strings.SplitSeq(*terms[tracker.FieldStatus], ",") {
		if status != "" && !slices.Contains(tracker.Statuses(), tracker.Status(status)) {
			return usagef("-status %q: use one of %v", status, tracker.Statuses())
		}
	}
	switch {
	case search.Limit < 1 || search.Limit > 500:
		return usagef("-limit %d: use a number from 1 to 500", search.Limit)
	case *since < 0:
		return usagef("-since %s: use a time that is not negative, for example 24h", *since)
	case search.Before < 0:
		return usagef("-before %d: use the id of a job", search.Before)
	}
	reader, closeDB, err := o.reader(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	if *since > 0 {
		search.From = reader.Now().Add(-*since)
	}
	page, err := reader.Search(ctx, search)
	if err != nil {
		return err
	}
	list := page.Jobs
	if list == nil {
		list = []*tracker.Job{}
	}
	return c.print(map[string]any{"jobs": list, "before": page.Older}, func(w io.Writer) { printJobs(w, page) })
}

func (o *connection) reader(ctx context.Context) (*tracker.Reader, func(), error) {
	engine, closeAll, err := o.engine(ctx)
	if err != nil {
		return nil, nil, err
	}
	return engine.Reader(), closeAll, nil
}

func printJobs(w io.Writer, page tracker.Results) {
	if len(page.Jobs) == 0 && page.Older == 0 {
		fmt.Fprintln(w, "no job matches")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "JOB\tSTATUS\tKIND\tINSTANCE\tTARGET\tDISPATCHED (UTC)\tBY\tERROR")
	for _, j := range page.Jobs {
		fmt.Fprintf(table, "%d\t%s\t%s/%s/%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, j.Status, j.Service, j.Type, j.Action, clean(j.Instance), clean(j.TargetID),
			j.CreatedAt.Format(time.DateTime), clean(j.TriggeredBy), clean(j.Error))
	}
	_ = table.Flush()
	if page.Older != 0 {
		fmt.Fprintf(w, "more: -before %d\n", page.Older)
	}
}

// clean returns a text without what would change a terminal or a table, and shortens it to what fits into a list.
func clean(text string) string {
	text = plain(text)
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return text
}

// plain returns a text without what would change a terminal or a table.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, text)
}
