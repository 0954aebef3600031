package jobstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/logbucket"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// callDelta is what a process counted of an endpoint in a minute. It is a row of nawasync_call_deltas.
type callDelta struct {
	Service   string `json:"v_service"`
	Instance  string `json:"v_instance"`
	Budget    string `json:"v_budget"`
	Method    string `json:"v_method"`
	Template  string `json:"v_template"`
	Bucket    int64  `json:"v_bucket"`
	Calls     int64  `json:"v_calls"`
	Errors    string `json:"v_errors"`
	Durations string `json:"v_durations"`
	FirstAt   int64  `json:"v_first_at"`
	LastAt    int64  `json:"v_last_at"`
	LeftCalls int64  `json:"v_left_calls"`
	LeftAt    int64  `json:"v_left_at"`
	ResetAt   int64  `json:"v_reset_at"`
}

// The columns of callDelta, as a Rowset has them.
var callDeltaColumns = []string{
	"service:t", "instance:t", "budget:t", "method:t", "template:t", "bucket", "calls", "errors:t", "durations:t",
	"first_at", "last_at", "left_calls", "left_at", "reset_at",
}

// columnNames returns the names of the columns of a Rowset, each after the prefix.
func columnNames(columns []string, prefix string) string {
	list := make([]string, len(columns))
	for i, column := range columns {
		name, _, _ := strings.Cut(column, ":")
		list[i] = prefix + name
	}
	return strings.Join(list, ", ")
}

// maxBudget is the length of the stored name of a class of endpoints, in bytes.
const maxBudget = 100

// callBatch is how many deltas one statement inserts.
const callBatch = 500

// InsertCalls appends what the calls of a service add to the statistics. It only inserts rows: RollupCalls
// adds them up. It returns the sums that are not stored, and the error of the database.
func (s *Store) InsertCalls(ctx context.Context, service string, sums []*remotecall.Sum) (rest []*remotecall.Sum, err error) {
	for len(sums) > 0 {
		batch := sums[:min(callBatch, len(sums))]
		rows := make([]callDelta, len(batch))
		for i, sum := range batch {
			rows[i] = callDelta{
				Service: sqlkit.CleanText(service, 50), Instance: sqlkit.CleanText(sum.Scope, tracker.MaxInstance), Budget: sqlkit.CleanText(sum.Budget, maxBudget),
				Method: sum.Method, Template: sum.Template, Bucket: sum.Minute, Calls: sum.Calls, Errors: sqlkit.CleanText(statrow.Counts(sum.Errors).String(), 4<<10),
				Durations: logbucket.Text(sum.Durations, sum.Total), FirstAt: sum.First, LastAt: sum.Last, LeftCalls: sum.Left, LeftAt: sum.LeftAt, ResetAt: sum.Reset,
			}
		}
		text, err := sqlkit.JSONText(rows)
		if err == nil {
			err = s.exec(ctx, func(conn *sqlkit.Conn) error {
				return conn.Exec("INSERT INTO nawasync_call_deltas ("+columnNames(callDeltaColumns, "")+") SELECT "+columnNames(callDeltaColumns, "v_")+
					" FROM "+s.dialect.Rowset(callDeltaColumns...), text).Error
			})
		}
		if err != nil {
			return sums, fmt.Errorf("store what was counted of the calls of %s: %w", service, err)
		}
		sums = slices.Clone(sums[len(batch):])
	}
	return nil, nil
}

// id returns the primary key of a row of nawasync_endpoints. Two rows with one key, which is as likely as two equal
// random numbers of 64 bits, would be counted as one.
func (e *endpointRow) id() int64 {
	parts := []string{e.Service, e.Instance, e.Budget, e.Method, e.Template}
	if e.Quota == endpointTotal { // an endpoint of a limit scope may have the same names
		parts = append(parts, statrow.PeriodTotal)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
