package jobstore

// Wake says that a stream has jobs that may be claimed from a time on.
type Wake struct {
	Stream
	At   int64 // lowest wake_at of the jobs, in microseconds
	Jobs int   // how many there are
}

// WakesOf returns the wake-ups for queued jobs, one for each stream. A job behind another of its
// lane needs none.
func WakesOf(jobs []*Job) []Wake {
	var wakes []Wake
	index := map[Stream]int{}
	for _, job := range jobs {
		if job.WakeAt.IsZero() {
			continue
		}
		stream, at := job.Stream(), job.WakeAt.UnixMicro()
		i, known := index[stream]
		if !known {
			i = len(wakes)
			index[stream] = i
			wakes = append(wakes, Wake{Stream: stream, At: at})
		}
		wakes[i].At = min(wakes[i].At, at)
		wakes[i].Jobs++
	}
	return wakes
}
