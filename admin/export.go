package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// exportBatchSize is how many jobs an export reads at a time.
const exportBatchSize = 500

var csvHeader = []string{
	"id", "status", "service", "type", "instance", "action", "target", "by", "source", "created", "started", "finished", "attempts",
	"duration_ms", "class", "error", "retry_of", "retried_as",
}

// exportSearch parses the query of an export. An invalid query is an error: exporting all jobs
// instead would be wrong.
func (p *request) exportSearch() (tracker.Search, error) {
	q, err := query.Parse(p.r.URL.Query().Get("q"), p.zone)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return tracker.Search{}, &httpError{http.StatusUnprocessableEntity, p.message(wrong.Message), p.Tf("At byte %d: %s.", wrong.At, p.message(wrong.Hint))}
	}
	return p.search(q)
}

// jobsJSON writes one page of the list as JSON.
func (p *request) jobsJSON() error {
	search, err := p.exportSearch()
	if err != nil {
		return err
	}
	results, err := p.searchPage(search)
	if err != nil {
		return err
	}
	jobs := results.Jobs
	if jobs == nil {
		jobs = []*tracker.Job{}
	}
	return p.writeJSON(map[string]any{"jobs": jobs, "older": results.Older, "newer": results.Newer, "searched": results.Searched, "partial": results.Partial})
}

// jobsCSV streams the jobs that match the query, newest first, up to Config.ExportRows and for
// Config.ExportTime at most.
func (p *request) jobsCSV() error {
	queryText := p.r.URL.Query().Get("q")
	q, err := query.Parse(queryText, p.zone)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return p.wrongQuery(queryText, wrong) // a browser shows this page instead of saving a file
	}
	search, err := p.search(q)
	if err != nil {
		return err
	}
	results, err := p.store().Search(p.r.Context(), withLimit(search, 0, exportBatchSize))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(p.requestCtx, p.h.config.ExportTime, errExportTime)
	defer cancel()
	out := p.startCSV("jobs.csv")
	_ = out.Write(csvHeader)
	flusher := http.NewResponseController(p.w)
	for written := 0; ; {
		for _, j := range results.Jobs {
			if written == p.h.config.ExportRows {
				writeCSVNote(out, csvHeader, fmt.Sprintf("more than %d jobs: narrow the query for the rest", written))
				return nil
			}
			_ = out.Write(csvRecord(j))
			written++
		}
		out.Flush()
		if out.Error() != nil || results.Older == 0 {
			return nil // the client has disconnected, or the export is complete
		}
		_ = flusher.Flush()
		before := results.Older
		if results, err = p.exportBatch(ctx, search, before); err != nil {
			p.writeExportError(ctx, out, csvHeader, before, err)
			return nil
		}
	}
}

// errExportTime ends the context of an export that takes longer than Config.ExportTime.
var errExportTime = errors.New("the export took too long")

// startCSV begins the answer of an export.
func (p *request) startCSV(name string) *csv.Writer {
	p.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	p.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = io.WriteString(p.w, "\ufeff") // without a byte order mark, Excel does not read UTF-8
	return csv.NewWriter(p.w)
}

// exportBatch reads the jobs with IDs below before.
func (p *request) exportBatch(ctx context.Context, search tracker.Search, before int64) (results tracker.Results, err error) {
	err = p.exportRead(ctx, func(ctx context.Context) (err error) {
		results, err = p.store().Search(ctx, withLimit(search, before, exportBatchSize))
		return err
	})
	return results, err
}

// exportRead reads one batch of an export. Each batch has the full Config.Timeout, so that a long export can
// finish. An export waits for the quota of its subject.
func (p *request) exportRead(ctx context.Context, read func(ctx context.Context) error) error {
	for {
		batch, cancel := context.WithTimeout(ctx, p.h.config.Timeout)
		err := read(batch)
		cancel()
		var busy *busyError
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.As(err, &busy) {
			return err
		}
		wait := time.NewTimer(busy.after)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// writeExportError ends an export. The status 200 is sent already, so the file itself must say that it is
// incomplete.
func (p *request) writeExportError(ctx context.Context, out *csv.Writer, header []string, before int64, err error) {
	if errors.Is(context.Cause(ctx), errExportTime) {
		writeCSVNote(out, header, fmt.Sprintf("the export stopped here after %s: rows with ids below %d are missing; narrow the query or the time range for the rest",
			p.h.config.ExportTime, before))
		return
	}
	if ctx.Err() != nil {
		return // the client has disconnected
	}
	writeCSVNote(out, header, "the export stopped here: the database did not answer")
	p.h.config.Logger.Error("export stopped early", "error", err)
}

// writeCSVNote writes a last row that has only a note, in the column of the target.
func writeCSVNote(out *csv.Writer, header []string, note string) {
	record := make([]string, len(header)) // strict readers refuse a row with fewer columns
	record[slices.Index(header, "target")] = note
	_ = out.Write(record)
	out.Flush()
}

func csvRecord(j *tracker.Job) []string {
	timestamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	idOrNone := func(id int64) string {
		if id == 0 {
			return ""
		}
		return strconv.FormatInt(id, 10)
	}
	return escapeRecord([]string{
		strconv.FormatInt(j.ID, 10), string(j.Status), j.Service, j.Type, j.Instance, j.Action, j.TargetID, j.TriggeredBy, j.TriggerSource,
		timestamp(j.CreatedAt), timestamp(j.StartedAt), timestamp(j.FinishedAt), strconv.Itoa(j.Attempt), strconv.FormatInt(j.Duration.Milliseconds(), 10),
		j.ErrorClass, j.Error, idOrNone(j.RetryOf), idOrNone(j.RetriedAs),
	})
}

// escapeRecord applies escapeFormula to each cell of a row.
func escapeRecord(record []string) []string {
	for i := range record {
		record[i] = escapeFormula(record[i])
	}
	return record
}

// escapeFormula puts an apostrophe before what a spreadsheet would evaluate as a formula: a cell, and the
// text after a separator inside of one, because some spreadsheets split lines at semicolons or tabs (OWASP:
// CSV injection). Full-width signs count as well.
func escapeFormula(cell string) string {
	var out strings.Builder
	begins := true // at the beginning of what a spreadsheet may take for a cell
	for _, r := range cell {
		if begins && strings.ContainsRune("=+-@＝＋－＠\t\r", r) {
			out.WriteByte('\'')
		}
		begins = strings.ContainsRune(";\t\r\n", r) || begins && (r == ' ' || r == '"')
		out.WriteRune(r)
	}
	return out.String()
}
