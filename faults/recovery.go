package main

import (
	"fmt"
	"slices"
	"time"
)

// recovery is how long something took, sorted.
type recovery struct {
	name  string
	times []time.Duration
}

// recoveries measures from each fault to the next start of each job that it stopped. A job that
// did not start again, because its frozen process woke in time, is not counted.
func recoveries(log remoteLog) []recovery {
	var list []recovery
	add := func(name string, d time.Duration) {
		i := slices.IndexFunc(list, func(r recovery) bool { return r.name == name })
		if i < 0 {
			i, list = len(list), append(list, recovery{name: name})
		}
		list[i].times = append(list[i].times, d)
	}
	starts := map[int64][]execution{}
	for _, x := range log.Executions {
		starts[x.Job] = append(starts[x.Job], x)
	}
	for _, c := range log.Cuts {
		for _, job := range c.Jobs {
			i := slices.IndexFunc(starts[job], func(x execution) bool { return x.At > c.At })
			if i < 0 {
				continue
			}
			name := c.Kind + " of a worker → its job runs again"
			took := starts[job][i].At - c.At
			if !outageWithin(log.Marks, c.At, starts[job][i].At) {
				add(name+", database up all the time", took)
				if i > 0 && starts[job][i].Epoch == starts[job][i-1].Epoch+1 {
					add(name+", and no fault met the process that took it over", took)
				}
			}
			add(name, took)
		}
	}
	for _, m := range log.Marks {
		i, _ := slices.BinarySearchFunc(log.Executions, m.At, func(x execution, at time.Duration) int { return int(x.At - at) })
		if i < len(log.Executions) && m.Name != downMark("database") && m.Name != downMark("Redis") {
			add(m.Name+" → first start", log.Executions[i].At-m.At)
		}
	}
	for _, r := range list {
		slices.Sort(r.times)
	}
	slices.SortFunc(list, func(a, b recovery) int { return slices.Compare([]byte(a.name), []byte(b.name)) })
	return list
}

func downMark(server string) string { return server + " down" }

// outageWithin reports whether the database was down at some time between two moments.
func outageWithin(marks []mark, from, until time.Duration) bool {
	for _, m := range marks {
		if m.Name == downMark("database") && m.At < until && m.At+startTimeout > from {
			if i := slices.IndexFunc(marks, func(b mark) bool { return b.Name == "database back" && b.At > m.At }); i < 0 || marks[i].At > from {
				return true
			}
		}
	}
	return false
}

// percentile returns the nearest rank.
func (r recovery) percentile(p float64) string {
	i := int(p*float64(len(r.times)) + 0.999999)
	return fmt.Sprintf("%.2f s", r.times[max(i, 1)-1].Seconds())
}
