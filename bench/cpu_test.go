package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// fakeProc writes /proc/PID/stat files and returns their folder.
func fakeProc(t *testing.T, stats map[int]string) string {
	t.Helper()
	root := t.TempDir()
	for pid, text := range stats {
		folder := filepath.Join(root, strconv.Itoa(pid))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "stat"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// statLine returns a line of /proc/PID/stat. The last four arguments are in hundredths of a
// second.
func statLine(pid int, program string, parent, user, system, exitedUser, exitedSystem int) string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194304 99 0 0 0 %d %d %d %d 20 0 1 0 2339605\n", pid, program, parent, user, system, exitedUser, exitedSystem)
}

func TestPostgresCPUIncludesChildrenThatRunAndThatHaveExited(t *testing.T) {
	t.Parallel()
	meter := cpuMeter{postmaster: 10, proc: fakeProc(t, map[int]string{
		10: statLine(10, "postgres", 1, 100, 200, 1000, 2000),
		11: statLine(11, "postgres", 10, 30, 40, 0, 0),
		12: statLine(12, "a (b) c", 10, 5, 5, 0, 0),
		13: statLine(13, "postgres", 1, 9999, 9999, 0, 0), // of another server
	})}
	if got, want := meter.readPostgres(), 33.8; math.Abs(got-want) > 1e-9 {
		t.Errorf("got %v s, want %v", got, want)
	}
}

func TestPostgresCPUIsUnknownWithoutItsProcesses(t *testing.T) {
	t.Parallel()
	for name, meter := range map[string]cpuMeter{
		"on another machine": {proc: t.TempDir()},
		"stopped":            {proc: t.TempDir(), postmaster: 10},
		"unreadable":         {proc: fakeProc(t, map[int]string{10: "10 postgres S 1"}), postmaster: 10},
	} {
		if got := meter.readPostgres(); !math.IsNaN(got) {
			t.Errorf("%s: got %v, want NaN", name, got)
		}
	}
}

func TestProcessCPURises(t *testing.T) {
	t.Parallel()
	before := processCPU()
	if math.IsNaN(before) {
		t.Skip("this system has no getrusage")
	}
	for spun := 0; processCPU() <= before; spun++ {
		if spun > 1e9 {
			t.Fatal("the CPU time of this process stands still")
		}
	}
}
