package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// DeployAction is the action of the audit entry that says which version of the program has started first after
// processes of another one. Its Detail is the version.
const DeployAction = "deploy"

// EndedPause is a time in which a service, or a part of it, was paused or parked.
type EndedPause struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"` // as in Scope
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

// maxEndedPauses is how many pauses are read. Among all services it is how many are looked at.
const maxEndedPauses = 200

// EndedPauses lists the pauses and parks that ended after a time, newest first: up to 200 of a service, and with
// the service "" those among the 200 newest of all. They are kept for twice Config.Expiry.
// A reader of single instances sees those of the service and of these instances.
func (r *Reader) EndedPauses(ctx context.Context, service string, since time.Time) ([]EndedPause, error) {
	query := "SELECT service, instance, began_at, ended_at FROM (SELECT * FROM nawasync_pauses ORDER BY id DESC LIMIT ?) p WHERE ended_at > ? ORDER BY ended_at DESC"
	args := []any{maxEndedPauses, since.UnixMicro()}
	if service != "" {
		query = "SELECT service, instance, began_at, ended_at FROM nawasync_pauses WHERE service = ? AND ended_at > ? ORDER BY ended_at DESC LIMIT ?"
		args = []any{service, since.UnixMicro(), maxEndedPauses}
	}
	var list []EndedPause
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var p EndedPause
		var from, to int64
		err := rows.Scan(&p.Service, &p.Instance, &from, &to)
		p.From, p.To = sqlkit.FromMicros(from), sqlkit.FromMicros(to)
		if r.limit.shows(p.Service, p.Instance) || p.Instance == "" && r.limit.showsScope(p.Service, "") {
			list = append(list, p)
		}
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list ended pauses: %w", err)
	}
	return list, nil
}

// Deployment is the start of a new version of the program.
type Deployment struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
}

// Deployments lists up to 20 deployments since a time, newest first.
func (r *Reader) Deployments(ctx context.Context, since time.Time) ([]Deployment, error) {
	var list []Deployment
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var d Deployment
		var at int64
		err := rows.Scan(&at, &d.Version)
		d.At = sqlkit.FromMicros(at)
		list = append(list, d)
		return err
	}, "SELECT at, detail FROM nawasync_acts WHERE act = ? AND at >= ? ORDER BY id DESC LIMIT 20", DeployAction, since.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	return list, nil
}
