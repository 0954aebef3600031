package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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
	Kinds     []string  `json:"kinds"`  // the job kinds it serves, as service/type/action
	Queues    []string  `json:"queues"` // the queues it claims jobs from
}

// Processes lists the heartbeat rows in order of id.
func (r *Reader) Processes(ctx context.Context) ([]Process, error) {
	var list []Process
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var p Process
		var beatAt, startedAt int64
		var kinds, queues string
		if err := rows.Scan(&p.ID, &p.Host, &p.PID, &p.Beat, &beatAt, &startedAt, &kinds, &queues); err != nil {
			return err
		}
		p.BeatAt, p.StartedAt = sqlkit.FromMicros(beatAt), sqlkit.FromMicros(startedAt)
		if err := json.Unmarshal([]byte(kinds), &p.Kinds); err != nil {
			return fmt.Errorf("decode kinds of process %s: %w", p.ID, err)
		}
		if err := json.Unmarshal([]byte(queues), &p.Queues); err != nil {
			return fmt.Errorf("decode queues of process %s: %w", p.ID, err)
		}
		list = append(list, p)
		return nil
	}, "SELECT id, host, pid, beat, beat_at, started_at, kinds, queues FROM nawasync_processes ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return list, nil
}
