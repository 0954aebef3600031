package jobstore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// errorSum is what deltas add to the errors of one signature, instance and bucket. It is a row of
// nawasync_error_stats.
type errorSum struct {
	Period    string `json:"v_period"`
	Bucket    int64  `json:"v_bucket"`
	Service   string `json:"v_service"`
	Instance  string `json:"v_instance"`
	Signature int64  `json:"v_signature"`
	Jobs      int64  `json:"v_jobs"`
	LastJob   int64  `json:"v_last_job"`
	FirstAt   int64  `json:"v_first_at"`
	LastAt    int64  `json:"v_last_at"`
}

// errorTextRow is a row of nawasync_errors.
type errorTextRow struct {
	Signature int64  `json:"v_signature"`
	Class     string `json:"v_class"`
	Text      string `json:"v_text"`
	FirstAt   int64  `json:"v_first_at"`
	LastAt    int64  `json:"v_last_at"`
}

// upsertStatement adds rows to a table, or adds them to the rows with the same key.
type upsertStatement struct {
	table   string
	key     []string // columns of a Rowset
	columns []string // the others
	set     string   // what becomes of a row that exists; old.x and new.x are the values of column x
}

const setTimes = "first_at = CASE WHEN new.first_at < old.first_at THEN new.first_at ELSE old.first_at END, " +
	"last_at = CASE WHEN new.last_at > old.last_at THEN new.last_at ELSE old.last_at END"

var (
	upsertErrorStats = upsertStatement{
		"nawasync_error_stats",
		[]string{"period:t", "bucket", "service:t", "instance:t", "signature"},
		[]string{"jobs", "last_job", "first_at", "last_at"},
		"jobs = old.jobs + new.jobs, last_job = CASE WHEN new.last_job > old.last_job THEN new.last_job ELSE old.last_job END, " + setTimes,
	}
	upsertErrors = upsertStatement{
		"nawasync_errors",
		[]string{"signature"},
		[]string{"class:t", "text:t", "first_at", "last_at"},
		"text = CASE WHEN old.text = '' THEN new.text ELSE old.text END, " + setTimes,
	}
)

// upsert runs an upsertStatement for rows, which must have different keys.
func (s *Store) upsert(conn *sqlkit.Conn, u upsertStatement, rows any) error {
	text, err := sqlkit.JSONText(rows)
	if err != nil {
		return err
	}
	all := slices.Concat(u.key, u.columns)
	insert := "INSERT INTO " + u.table + " (" + columnNames(all, "") + ") SELECT " + columnNames(all, "v_") + " FROM " + s.dialect.Rowset(all...)
	if s.dialect.Name == "mysql" {
		return conn.Exec(insert+" ON DUPLICATE KEY UPDATE "+strings.NewReplacer("old.", u.table+".", "new.", "v_").Replace(u.set), text).Error
	}
	// Without WHERE, SQLite takes ON for the condition of a join.
	return conn.Exec(insert+" WHERE TRUE ON CONFLICT ("+columnNames(u.key, "")+") DO UPDATE SET "+
		strings.NewReplacer("old.", u.table+".", "new.", "excluded.").Replace(u.set), text).Error
}

// rollupErrors adds deltas to the counts of the errors by signature. Only one rollup runs at a time, so it
// cannot deadlock with another.
func (s *Store) rollupErrors(conn *sqlkit.Conn, deltas []statrow.Delta) error {
	sums, texts := sumErrors(deltas)
	if len(sums) == 0 {
		return nil
	}
	if err := s.upsert(conn, upsertErrorStats, sums); err != nil {
		return err
	}
	return s.upsert(conn, upsertErrors, texts)
}

// sumErrors returns the rows that deltas add, in the order of their keys.
func sumErrors(deltas []statrow.Delta) (sums []errorSum, texts []errorTextRow) {
	type key struct {
		period            tracker.Period
		bucket, signature int64
		service, instance string
	}
	byKey, bySignature := map[key]*errorSum{}, map[int64]*errorTextRow{}
	for _, d := range deltas {
		if !d.Error.Valid {
			continue
		}
		for _, period := range []tracker.Period{tracker.PeriodMinute, tracker.PeriodHour, tracker.PeriodDay} {
			k := key{period, period.Start(sqlkit.FromMicros(d.Minute)).UnixMicro(), d.Error.Int64, d.Service, d.Instance}
			sum := byKey[k]
			if sum == nil {
				sum = &errorSum{Period: string(period), Bucket: k.bucket, Service: k.service, Instance: k.instance, Signature: k.signature, FirstAt: d.FirstAt.Int64}
				byKey[k] = sum
			}
			sum.Jobs += d.Jobs
			sum.LastJob = max(sum.LastJob, d.LastJob)
			sum.FirstAt, sum.LastAt = min(sum.FirstAt, d.FirstAt.Int64), max(sum.LastAt, d.LastAt)
		}
		text := bySignature[d.Error.Int64]
		if text == nil {
			text = &errorTextRow{Signature: d.Error.Int64, Class: d.Class.String, FirstAt: d.FirstAt.Int64}
			bySignature[d.Error.Int64] = text
		}
		text.Text = cmp.Or(text.Text, d.ErrorText.String)
		text.FirstAt, text.LastAt = min(text.FirstAt, d.FirstAt.Int64), max(text.LastAt, d.LastAt)
	}
	for _, sum := range byKey {
		sums = append(sums, *sum)
	}
	for _, text := range bySignature {
		texts = append(texts, *text)
	}
	slices.SortFunc(sums, func(a, b errorSum) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Signature, b.Signature))
	})
	slices.SortFunc(texts, func(a, b errorTextRow) int { return cmp.Compare(a.Signature, b.Signature) })
	return sums, texts
}
