package admin

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

var auditCSVHeader = []string{
	"id", "at", "subject", "action", "outcome", "service", "type", "instance", "target", "job_id", "bulk_run", "address", "reason", "detail",
}

// auditCSV streams the entries that match the filters, newest first, each entry of a bulk run too. It is limited as
// the export of jobs is, and is itself recorded.
func (p *request) auditCSV() error {
	v := &auditView{request: p}
	p.title, p.section = p.T("Audit log"), "audit"
	if v.wrong = v.readFilter(); v.wrong != "" {
		p.renderStatus(http.StatusUnprocessableEntity, auditLogPage(v)) // a browser shows this page instead of saving a file
		return nil
	}
	filter := v.filter
	filter.Listed, filter.Limit = false, exportBatchSize
	entries, err := p.store().AuditLog(p.r.Context(), filter)
	if err != nil {
		return err
	}
	entry := tracker.AuditEntry{Action: "export_audit_log", Outcome: tracker.AuditDone, Service: filter.Service, Detail: v.filterText()}
	if err := p.recordAudit(p.r.Context(), entry); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(p.requestCtx, p.h.config.ExportTime, errExportTime)
	defer cancel()
	out := p.startCSV("audit.csv")
	_ = out.Write(auditCSVHeader)
	p.writeAudit(ctx, out, filter, entries)
	return nil
}

// writeAudit writes entries and those after them, until there are no more, the limits are reached or the client has
// disconnected.
func (p *request) writeAudit(ctx context.Context, out *csv.Writer, filter tracker.AuditFilter, entries []tracker.AuditEntry) {
	flusher := http.NewResponseController(p.w)
	for written := 0; ; {
		for _, entry := range entries {
			if written == p.h.config.ExportRows {
				writeCSVNote(out, auditCSVHeader, fmt.Sprintf("more than %d entries: narrow the filters for the rest", written))
				return
			}
			_ = out.Write(auditRecord(entry))
			written++
		}
		out.Flush()
		if out.Error() != nil || len(entries) < filter.Limit {
			return
		}
		_ = flusher.Flush()
		filter.Before = entries[len(entries)-1].ID
		err := p.exportRead(ctx, func(ctx context.Context) (err error) {
			entries, err = p.store().AuditLog(ctx, filter)
			return err
		})
		if err != nil {
			p.writeExportError(ctx, out, auditCSVHeader, filter.Before, err)
			return
		}
	}
}

func auditRecord(a tracker.AuditEntry) []string {
	idOrNone := func(id int64) string {
		if id == 0 {
			return ""
		}
		return strconv.FormatInt(id, 10)
	}
	return escapeRecord([]string{
		strconv.FormatInt(a.ID, 10), a.At.UTC().Format(time.RFC3339Nano), a.Subject, a.Action, string(a.Outcome), a.Service, a.Type, a.Instance,
		a.TargetID, idOrNone(a.JobID), idOrNone(a.RunID), a.Address, a.Reason, a.Detail,
	})
}
