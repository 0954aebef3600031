package main

import "time"

// call is a change of an object that the repository makes. Nothing tells which job makes it.
type call struct {
	ID     int64
	At     time.Duration
	Group  string
	Worker string
}

// collision says that a change of an object was made while a reset of it ran, or began while it was made.
type collision struct {
	Reset execution
	Call  call
	First bool // the reset began first
}

// call records that a change of an object begins.
func (a *remoteAPI) call(in report) any {
	c := call{in.Call, time.Since(a.begin), in.Group, in.Worker}
	for i := range a.open[in.Group] {
		a.log.Collisions = append(a.log.Collisions, collision{a.log.Executions[i], c, true})
	}
	a.calls[in.Call] = c
	a.log.Calls++
	return true
}

// called records that a change of an object has ended.
func (a *remoteAPI) called(in report) any {
	delete(a.calls, in.Call)
	return true
}

// collide records the changes during which an execution begins.
func (a *remoteAPI) collide(e execution) {
	for _, c := range a.calls {
		if c.Group == e.Group {
			a.log.Collisions = append(a.log.Collisions, collision{e, c, false})
		}
	}
}

// dropCalls forgets the changes that a killed worker was making.
func (a *remoteAPI) dropCalls(worker string) {
	for id, c := range a.calls {
		if c.Worker == worker {
			delete(a.calls, id)
		}
	}
}

// checkCollisions looks for resets and changes of one object at a time. A worker that was frozen during one of them
// goes on after its lease, when another worker may have taken the lane; it cannot know.
func checkCollisions(e *evidence, f *findings) {
	for _, c := range e.log.Collisions {
		frozen := c.First && e.fenced(c.Reset) || !c.First && e.frozen(c.Call.Worker, c.Call.At, c.Reset.At)
		if !frozen {
			f.addf("%s: the reset of job %d, epoch %d, on %s began after %s, and a change on %s after %s", c.Call.Group, c.Reset.Job, c.Reset.Epoch, c.Reset.Worker,
				c.Reset.At, c.Call.Worker, c.Call.At)
		}
	}
}

// frozen reports whether a worker was frozen, or without its database for longer than a lease, between two times.
func (e *evidence) frozen(worker string, from, to time.Duration) bool {
	for _, c := range e.log.Cuts {
		if c.Worker == worker && c.At >= from && c.At <= to {
			return true
		}
	}
	return false
}
