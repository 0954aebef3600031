package tracker

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// addFilter adds a term as a residual condition.
func (p *plan) addFilter(t Term, now time.Time) error {
	clause, args, err := t.condition(now)
	if err != nil {
		return err
	}
	if t.Field.isText() {
		p.readsError = true
		p.texts += len(t.Values)
	}
	if t.Not {
		clause = "NOT (" + clause + ")"
	}
	p.addResidual(clause, args...)
	return nil
}

// condition returns the SQL condition for the term, ignoring Not. The jobs table is called j.
func (t Term) condition(now time.Time) (clause string, args []any, err error) {
	switch t.Field {
	case FieldStuck:
		return "(j.status = 'running' AND j.deadline_at IS NOT NULL AND j.deadline_at < ?)", []any{now.UnixMicro()}, nil
	case FieldRepaired:
		return "EXISTS (SELECT 1 FROM nawasync_jobs r WHERE r.target_key = j.target_key AND " + sameSort + " AND r.id > COALESCE(j.original, j.retry_of, j.id) AND COALESCE(r.original, r.retry_of, r.id) >= COALESCE(j.original, j.retry_of, j.id)" +
			" AND r.finished_at IS NOT NULL AND r.status = 'success' AND r.action <> '" + RefreshAction + "')", nil, nil
	case FieldRetried:
		return "j.retried_as IS NOT NULL", nil, nil
	case FieldRun:
		runs, err := parseIDs(t.Values)
		return "EXISTS (SELECT 1 FROM nawasync_bulk_jobs b WHERE b.run_id IN ? AND b.job_id = j.id)", []any{runs}, err
	case FieldError, FieldText:
		clause, args = t.containsCondition()
		return clause, args, nil
	case FieldErrorGroup:
		hashes, err := parseGroups(t.Values)
		return "COALESCE(j.error_signature, 0) IN ? AND j.error_signature IS NOT NULL", []any{hashes}, err
	case FieldAttempts:
		return t.compareCondition("j.attempt")
	case FieldDuration:
		return t.compareCondition("COALESCE(j.duration_ms, 0)")
	}
	return t.inCondition()
}

// containsCondition matches jobs whose error text contains one of the values. For FieldText, it
// also matches jobs whose target id contains one. Case is ignored.
func (t Term) containsCondition() (clause string, args []any) {
	var alternatives []string
	for _, value := range t.Values {
		like := "%" + sqlkit.EscapeLike(strings.ToLower(value)) + "%"
		alternatives, args = append(alternatives, "LOWER(COALESCE(j.error, '')) LIKE ? ESCAPE '!'"), append(args, like)
		if t.Field == FieldText {
			alternatives, args = append(alternatives, "LOWER(j.target_id) LIKE ? ESCAPE '!'"), append(args, like)
		}
	}
	return "(" + strings.Join(alternatives, " OR ") + ")", args
}

// compareCondition compares a column with the term's only value. The operator is checked
// because it becomes part of the SQL text.
func (t Term) compareCondition(column string) (clause string, args []any, err error) {
	if len(t.Values) != 1 {
		return "", nil, fmt.Errorf("a term of %s has %d values; give exactly one", t.Field, len(t.Values))
	}
	op := cmp.Or(t.Op, "=")
	if op != "=" && op != ">" && op != "<" {
		return "", nil, fmt.Errorf("a term of %s has the operator %q; use \"\", \">\" or \"<\"", t.Field, t.Op)
	}
	if _, err := strconv.ParseFloat(t.Values[0], 64); err != nil {
		return "", nil, fmt.Errorf("a term of %s has the value %q, which is not a number", t.Field, t.Values[0])
	}
	return column + " " + op + " CAST(? AS DECIMAL)", []any{t.Values[0]}, nil
}

// termColumns maps each field that matches by equality to its column in the jobs table j.
var termColumns = map[Field]string{
	FieldID: "j.id", FieldStatus: "j.status", FieldService: "j.service", FieldType: "j.type", FieldAction: "j.action", FieldInstance: "j.instance",
	FieldTarget: "j.target_id",
	FieldBy:     "j.triggered_by", FieldSource: "j.trigger_source", FieldClass: "COALESCE(j.error_class, '')", FieldRetryOf: "COALESCE(j.retry_of, 0)",
}

// inCondition matches jobs whose column has one of the values.
func (t Term) inCondition() (clause string, args []any, err error) {
	column, ok := termColumns[t.Field]
	if !ok {
		return "", nil, fmt.Errorf("search has no field %q", t.Field)
	}
	clause = column + " IN ?"
	if t.Field != FieldID && t.Field != FieldRetryOf {
		return clause, []any{t.Values}, nil
	}
	ids, err := parseIDs(t.Values)
	if err != nil {
		return "", nil, err
	}
	return clause, []any{ids}, nil
}
