package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// execution is one call of a handler. Times count from the start of the simulator.
type execution struct {
	Seq    int64 // position among all starts and ends
	End    int64 // position of the end; 0 while the handler runs
	At     time.Duration
	Job    int64
	Epoch  int
	Group  string // what must not run at once: a lane or a unique key
	Worker string
	Dead   bool // the process was killed while the handler ran
}

// overlap says that an execution began while another one of its group ran.
type overlap struct{ First, Second execution }

// cut says that a worker stopped working while it ran these jobs.
type cut struct {
	At     time.Duration
	Kind   string
	Worker string
	Jobs   []int64
}

// mark is a moment, for example when the database answered again.
type mark struct {
	At   time.Duration
	Name string
}

// remoteLog is what the simulator has seen. The checks read it.
type remoteLog struct {
	Executions []execution
	Overlaps   []overlap
	Cuts       []cut
	Marks      []mark
	Writes     map[string]int // accepted and repeated writes by idempotency key
	LateWrites int            // writes that arrived after a later epoch of their job had started
	Things     map[string]string
	Created    map[string]int // how often an object was created
	Collisions []collision    // resets and changes of one object at a time
	Calls      int            // changes of objects that the repository has made
}

// remoteAPI simulates an external API. It has a process of its own and no faults, so that its log
// is reliable.
type remoteAPI struct {
	mu     sync.Mutex
	log    remoteLog
	begin  time.Time
	seq    int64
	open   map[string]map[int]bool // indexes of the running executions, by group
	epochs map[int64]int           // the latest epoch of each job
	counts map[int64]int           // executions of each job
	calls  map[int64]call          // changes of objects that are being made
	random *rand.Rand
}

// report is what a worker or the command tells the simulator.
type report struct {
	Job           int64
	Epoch         int
	Group, Worker string
	Key           string        // of a write
	Call          int64         // of a change of an object
	Kind          string        // of a cut or a mark
	Dead          bool          // of a cut: the process has exited
	Ago           time.Duration // of a mark: how long ago it was
}

// serveRemote runs the simulator until the process is killed.
func serveRemote(spec childSpec) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a := &remoteAPI{
		begin: time.Now(), open: map[string]map[int]bool{}, epochs: map[int64]int{}, counts: map[int64]int{}, calls: map[int64]call{}, random: rand.New(rand.NewPCG(spec.Seed, 1)),
		log: remoteLog{Writes: map[string]int{}, Things: map[string]string{}, Created: map[string]int{}},
	}
	mux := http.NewServeMux()
	for path, fn := range map[string]func(report) any{
		"/start": a.start, "/end": a.end, "/write": a.write, "/cut": a.cut, "/mark": a.mark, "/dump": a.dump,
		"/call": a.call, "/called": a.called,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var in report
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			_ = json.NewEncoder(w).Encode(fn(in))
		})
	}
	a.routeThings(mux)
	if err := json.NewEncoder(os.Stdout).Encode(reply{Ready: true, Address: l.Addr().String()}); err != nil {
		return err
	}
	return http.Serve(l, mux)
}

// start records that a handler began. It returns how often the job has been executed.
func (a *remoteAPI) start(in report) any {
	a.seq++
	e := execution{Seq: a.seq, At: time.Since(a.begin), Job: in.Job, Epoch: in.Epoch, Group: in.Group, Worker: in.Worker}
	running := a.open[in.Group]
	if running == nil {
		running = map[int]bool{}
		a.open[in.Group] = running
	}
	for i := range running {
		a.log.Overlaps = append(a.log.Overlaps, overlap{a.log.Executions[i], e})
	}
	a.collide(e)
	running[len(a.log.Executions)] = true
	a.log.Executions = append(a.log.Executions, e)
	a.epochs[in.Job] = max(a.epochs[in.Job], in.Epoch)
	a.counts[in.Job]++
	return a.counts[in.Job]
}

func (a *remoteAPI) end(in report) any {
	for i := range a.open[in.Group] {
		if e := a.log.Executions[i]; e.Job == in.Job && e.Epoch == in.Epoch && e.Worker == in.Worker {
			a.finish(i, false)
		}
	}
	return true
}

func (a *remoteAPI) finish(i int, dead bool) {
	a.seq++
	e := &a.log.Executions[i]
	e.End, e.Dead = a.seq, dead
	delete(a.open[e.Group], i)
}

// write accepts the first write with a key. It answers a repetition like the first one.
func (a *remoteAPI) write(in report) any {
	a.log.Writes[in.Key]++
	if in.Epoch < a.epochs[in.Job] {
		a.log.LateWrites++
	}
	return true
}

// cut records what a worker ran when it was broken.
func (a *remoteAPI) cut(in report) any {
	c := cut{At: time.Since(a.begin), Kind: in.Kind, Worker: in.Worker}
	for _, running := range a.open {
		for i := range running {
			if a.log.Executions[i].Worker != in.Worker {
				continue
			}
			c.Jobs = append(c.Jobs, a.log.Executions[i].Job)
			if in.Dead {
				a.finish(i, true)
			}
		}
	}
	if in.Dead {
		a.dropCalls(in.Worker)
	}
	a.log.Cuts = append(a.log.Cuts, c)
	return true
}

func (a *remoteAPI) mark(in report) any {
	a.log.Marks = append(a.log.Marks, mark{time.Since(a.begin) - in.Ago, in.Kind})
	return true
}

func (a *remoteAPI) dump(report) any { return a.log }

// keyOf returns the idempotency key under which the simulator stores the writes of a job. The
// engine's key comes first, so that two jobs with one key would be seen.
func keyOf(engineKey string, job int64) string { return fmt.Sprintf("%s/%d", engineKey, job) }
