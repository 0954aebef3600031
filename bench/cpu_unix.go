//go:build unix

package main

import (
	"math"
	"syscall"
	"time"
)

// processCPU returns the CPU time of this process in seconds.
func processCPU() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return math.NaN()
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
