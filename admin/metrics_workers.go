package admin

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/tracker"
)

// workerCounts are the numbers of live processes.
type workerCounts struct {
	kinds  map[string]int // that handle a kind; 0 if the kind has open jobs and no process
	queues map[string]int // that work a queue; 0 if only silent processes do. A limited subject has none
}

func countWorkers(processes []tracker.Process, open []tracker.OpenJobs, now time.Time) workerCounts {
	c := workerCounts{kinds: map[string]int{}, queues: map[string]int{}}
	add := func(process tracker.Process, n int) {
		for _, kind := range process.Kinds {
			c.kinds[kind] += n
		}
		for _, queue := range process.Queues {
			c.queues[queue] += n
		}
	}
	for _, o := range open {
		c.kinds[nawasync.Kind{Service: o.Service, Type: o.Type, Action: o.Action}.String()] = 0
	}
	for _, process := range processes {
		add(process, 0)
	}
	for _, process := range alert.Alive(processes, now) {
		add(process, 1)
	}
	return c
}

// ofService returns how many live processes handle a kind of a service, at most.
func (c workerCounts) ofService(service string) (most int) {
	for kind, n := range c.kinds {
		if strings.HasPrefix(kind, service+"/") {
			most = max(most, n)
		}
	}
	return most
}

// collectWorkers sends the numbers of live processes.
func (c figuresCollector) collectWorkers(ch chan<- prometheus.Metric) {
	for kind, n := range c.workers.kinds {
		service, _, _ := strings.Cut(kind, "/")
		sendGauge(ch, c.kindWorkers, float64(n), service, kind)
	}
	for queue, n := range c.workers.queues {
		sendGauge(ch, c.queueWorkers, float64(n), queue)
	}
}
