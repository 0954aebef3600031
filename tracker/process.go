package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Process is the heartbeat row of one running engine. Each start of an engine gets a new id, so
// that an engine declared dead cannot be mistaken for its successor.
type Process struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Beat      int64     `json:"beat"` // counts heartbeats; unlike BeatAt it does not depend on the process's clock
	BeatAt    time.Time `json:"beat_at"`
	StartedAt time.Time `json:"started_at"`
	Kinds     []string  `json:"kinds"`              // the job kinds it serves, as service/type/action
	Queues    []string  `json:"queues"`             // the queues it claims jobs from
	Troubles  []Trouble `json:"troubles,omitempty"` // what hindered it at its last heartbeat
	// Version is the version of the program's main module, or of its source. It is "" if the build has none.
	Version string `json:"version,omitempty"`
	// Slots is how many jobs of each queue run at once. A limited Reader adds them up under "". It is nil for
	// a process that runs an earlier release.
	Slots map[string]int `json:"slots,omitempty"`
}

// Trouble is something that hinders a process. Its texts contain no secrets.
type Trouble struct {
	Code  TroubleCode `json:"code"`
	Since time.Time   `json:"since"`
	Text  string      `json:"text,omitempty"` // for example which row is locked, or the error
	// Jobs are the jobs whose outcomes cannot be written, with TroubleLocked: up to 20, those that have waited
	// longest first. Text is about the first one. A limited Reader leaves them out.
	Jobs []int64 `json:"jobs,omitempty"`
}

// TroubleCode names a kind of trouble.
type TroubleCode string

// The kinds of trouble that a process reports.
const (
	TroubleRedis   TroubleCode = "redis"   // Redis does not respond to it
	TroubleBlocked TroubleCode = "blocked" // its claims or outcomes do not get through to the database
	TroubleLocked  TroubleCode = "locked"  // an outcome waits for a row that another transaction has locked
	TroublePool    TroubleCode = "pool"    // all database connections of its pool are in use
	TroubleClock   TroubleCode = "clock"   // its clock differs from the database's
)

// limitProcess removes from p what names services, jobs or rows that the limit does not show.
func (r *Reader) limitProcess(p *Process) {
	if r.limit == nil {
		return
	}
	p.Kinds = slices.DeleteFunc(p.Kinds, func(kind string) bool {
		service, _, _ := strings.Cut(kind, "/")
		return !r.limit.showsPart(service)
	})
	p.Queues = nil
	if p.Slots != nil {
		total := 0
		for _, n := range p.Slots {
			total += n
		}
		p.Slots = map[string]int{"": total}
	}
	for i, trouble := range p.Troubles {
		if trouble.Code != TroubleClock { // its text is a duration
			p.Troubles[i].Text, p.Troubles[i].Jobs = "", nil
		}
	}
}

// Processes lists the heartbeat rows in order of id.
func (r *Reader) Processes(ctx context.Context) ([]Process, error) {
	var list []Process
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var p Process
		var beatAt, startedAt int64
		var kinds, queues string
		var troubles, slots sql.NullString
		if err := rows.Scan(&p.ID, &p.Host, &p.PID, &p.Beat, &beatAt, &startedAt, &kinds, &queues, &troubles, &p.Version, &slots); err != nil {
			return err
		}
		p.BeatAt, p.StartedAt = sqlkit.FromMicros(beatAt), sqlkit.FromMicros(startedAt)
		if err := json.Unmarshal([]byte(kinds), &p.Kinds); err != nil {
			return fmt.Errorf("decode kinds of process %s: %w", p.ID, err)
		}
		if err := json.Unmarshal([]byte(queues), &p.Queues); err != nil {
			return fmt.Errorf("decode queues of process %s: %w", p.ID, err)
		}
		if troubles.String != "" {
			if err := json.Unmarshal([]byte(troubles.String), &p.Troubles); err != nil {
				return fmt.Errorf("decode troubles of process %s: %w", p.ID, err)
			}
		}
		if slots.String != "" {
			if err := json.Unmarshal([]byte(slots.String), &p.Slots); err != nil {
				return fmt.Errorf("decode slots of process %s: %w", p.ID, err)
			}
		}
		r.limitProcess(&p)
		list = append(list, p)
		return nil
	}, "SELECT id, host, pid, beat, beat_at, started_at, kinds, queues, troubles, version, slots FROM nawasync_processes ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return list, nil
}

// MaxRunning is how many running jobs RunningJobs counts at most.
const MaxRunning = 10_000

// RunningCount is how many jobs of a queue run in a process.
type RunningCount struct {
	Worker string // Process.ID
	Queue  string // "" from a limited Reader, which does not tell the names of queues
	N      int
}

// RunningJobs counts the running jobs of all services by process and queue, up to MaxRunning in total. A limited
// Reader counts all of them too, since they take the slots of the jobs that it shows.
func (r *Reader) RunningJobs(ctx context.Context) ([]RunningCount, error) {
	queue := "queue"
	if r.limit != nil {
		queue = "''"
	}
	var list []RunningCount
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var c RunningCount
		var worker sql.NullString
		err := rows.Scan(&worker, &c.Queue, &c.N)
		c.Worker = worker.String
		list = append(list, c)
		return err
	}, "SELECT worker, q, COUNT(*) FROM (SELECT worker, "+queue+" AS q FROM nawasync_jobs WHERE running_lane IS NOT NULL LIMIT ?) running GROUP BY worker, q ORDER BY worker, q", MaxRunning)
	if err != nil {
		return nil, fmt.Errorf("count the running jobs: %w", err)
	}
	return list, nil
}
