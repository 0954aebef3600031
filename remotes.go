package nawasync

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/worker"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// BulkQueue is the queue of the jobs that are dispatched with Options.Bulk.
const BulkQueue = "bulk"

// linksOf returns what the engine uses of its remotes, by service.
func linksOf(remotes []*remote.Remote) map[string]remotecall.Link {
	links := map[string]remotecall.Link{}
	for _, r := range remotes {
		links[r.Service()] = r.Link(remotecall.NewKey())
	}
	return links
}

// callGroup is the jobs that one reservation serves: those of one limit scope and spender.
type callGroup struct {
	service string
	request remotecall.Request
}

// maxReserve is how long the reservations of one claim may take together. With a slow Redis, the streams that
// are left are asked for by a later claim, so that jobs of other services do not wait for them.
const maxReserve = 200 * time.Millisecond

// reserveCalls reserves the calls of up to limit jobs of each stream. A stream without budget gets none.
func (e *Engine) reserveCalls(ctx context.Context, streams []jobstore.Stream, limit int) []worker.Grant {
	grants := make([]worker.Grant, len(streams))
	members := map[callGroup][]int{}
	var groups []callGroup // in the order of the streams
	for i, stream := range streams {
		grants[i].Jobs = limit
		if e.remotes[stream.Service] == nil {
			continue
		}
		group := e.callGroup(stream)
		if members[group] == nil {
			groups = append(groups, group)
		}
		members[group] = append(members[group], i)
	}
	begun := time.Now()
	for _, group := range groups {
		if time.Since(begun) > maxReserve {
			for _, i := range members[group] {
				grants[i] = worker.Grant{}
			}
			continue
		}
		list, link, request := members[group], e.remotes[group.service], group.request
		request.Jobs = limit * len(list)
		grant := link.Reserve(ctx, []remotecall.Request{request})[0]
		left := grant.Jobs
		for n, i := range list {
			grants[i] = worker.Grant{Wait: grant.Wait}
			if left == 0 {
				continue
			}
			jobs := min(limit, max(1, left/(len(list)-n)))
			left -= jobs
			grants[i] = worker.Grant{
				Jobs:   jobs,
				Attach: func(job *jobstore.Job) { job.Reserved = grant.For(request) },
				Return: func(n int) { link.Return(ctx, request, grant, n) },
			}
		}
		if left > 0 {
			link.Return(ctx, request, grant, left)
		}
	}
	return grants
}

func (e *Engine) callGroup(stream jobstore.Stream) callGroup {
	job := &jobstore.Job{Job: tracker.Job{
		Service: stream.Service, Type: stream.Type, Action: stream.Action, Instance: stream.Instance, Queue: stream.Queue,
	}}
	calls := 1
	if r := e.registrationOf(job); r != nil {
		calls = max(r.calls, 1)
	}
	return callGroup{stream.Service, remotecall.Request{Scope: e.limitScope(job), Spender: e.spenderOf(job), Calls: calls}}
}

// spenderOf returns who the calls of a job are made for.
func (e *Engine) spenderOf(job *jobstore.Job) remotecall.Spender {
	if r := e.registrationOf(job); r != nil && r.syncs {
		return remotecall.Syncs
	}
	if job.Queue == BulkQueue {
		return remotecall.Bulk
	}
	return remotecall.People
}

// withCalls returns a context in which the calls of a job use its budget and are recorded. The caller calls end when the
// handler has returned.
func (e *Engine) withCalls(ctx context.Context, job *jobstore.Job, record func(remotecall.Call)) (_ context.Context, end func()) {
	calls := &remotecall.Job{ID: job.ID, Spender: e.spenderOf(job), Reserved: job.Reserved, Record: record}
	ctx = remotecall.With(ctx, calls)
	return ctx, func() {
		if link := e.remotes[job.Service]; link != nil {
			link.ReturnRest(context.WithoutCancel(ctx), calls.Spender, job.Reserved)
		}
	}
}

// tickRemotes keeps the budgets of the remotes in touch with the other processes.
func (e *Engine) tickRemotes(ctx context.Context) (bool, error) {
	live, err := e.store.ProcessIDs(ctx)
	if err != nil {
		live = nil
	}
	for _, link := range e.remotes {
		link.Tick(ctx, e.lease.Worker(), live)
	}
	return false, err
}

// leaveRemotes gives up what the budgets have set aside for this process.
func (e *Engine) leaveRemotes(ctx context.Context) {
	for _, link := range e.remotes {
		link.Leave(ctx)
	}
}

// remoteTick is how often the budgets contact Redis.
const remoteTick = time.Second
