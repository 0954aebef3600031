package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// cpuTimes is the CPU time, in seconds, that processes have used since they started. NaN stands
// for a time that cannot be read.
type cpuTimes struct{ process, postgres, redis float64 }

func (c cpuTimes) since(before cpuTimes) cpuTimes {
	return cpuTimes{c.process - before.process, c.postgres - before.postgres, c.redis - before.redis}
}

// cpuMeter reads the CPU time of this process and of the servers. The servers' time includes the
// work of other clients.
type cpuMeter struct {
	proc       string // the mount point of the proc file system
	postmaster int    // the first process of PostgreSQL, or 0 if it does not run on this machine
	redis      *redis.Client
}

// newCPUMeter finds the processes of the PostgreSQL server that url names.
func newCPUMeter(ctx context.Context, url string, client *redis.Client) (*cpuMeter, error) {
	m := &cpuMeter{proc: "/proc", redis: client}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var backend int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return nil, err
	}
	// The postmaster is the parent of every process of the server. On another machine, the id
	// belongs to no process here, or to a process of another program.
	if stat, err := m.stat(backend); err == nil && stat.program == "postgres" {
		m.postmaster = stat.parent
	}
	return m, nil
}

func (m *cpuMeter) read(ctx context.Context) cpuTimes {
	return cpuTimes{process: processCPU(), postgres: m.readPostgres(), redis: m.readRedis(ctx)}
}

// readPostgres returns the time of the postmaster, of its children, and of its children that have
// exited.
func (m *cpuMeter) readPostgres() float64 {
	if m.postmaster == 0 {
		return math.NaN()
	}
	total := math.NaN()
	for range 5 {
		before, err := m.stat(m.postmaster)
		if err != nil {
			return math.NaN()
		}
		total = before.own + before.exited + m.childrenCPU()
		// A child that exits meanwhile may be missing from the total: read again.
		if after, err := m.stat(m.postmaster); err == nil && after.exited == before.exited {
			break
		}
	}
	return total
}

func (m *cpuMeter) childrenCPU() (total float64) {
	entries, _ := os.ReadDir(m.proc)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if stat, err := m.stat(pid); err == nil && stat.parent == m.postmaster {
			total += stat.own + stat.exited
		}
	}
	return total
}

// readRedis returns the time that Redis itself reports, so Redis may run on another machine.
func (m *cpuMeter) readRedis(ctx context.Context) float64 {
	text, err := m.redis.Info(ctx, "cpu").Result()
	if err != nil {
		return math.NaN()
	}
	info := parseInfo(text)
	system, errSystem := strconv.ParseFloat(info["used_cpu_sys"], 64)
	user, errUser := strconv.ParseFloat(info["used_cpu_user"], 64)
	if errSystem != nil || errUser != nil {
		return math.NaN()
	}
	return system + user
}

// parseInfo parses the lines "name:value" of Redis's INFO.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// procStat has some fields of /proc/PID/stat. own is the CPU time of the process, exited that of
// its children that have exited, in seconds.
type procStat struct {
	program     string
	parent      int
	own, exited float64
}

// ticksPerSecond is the unit of the times in /proc/PID/stat: Linux has it fixed on all platforms
// that Go supports.
const ticksPerSecond = 100

func (m *cpuMeter) stat(pid int) (s procStat, err error) {
	text, err := os.ReadFile(filepath.Join(m.proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return s, err
	}
	return parseStat(string(text))
}

// parseStat parses "pid (program) state ppid …". The program's name may contain spaces and
// parentheses.
func parseStat(text string) (s procStat, err error) {
	begin, end := strings.Index(text, "("), strings.LastIndex(text, ")")
	if begin < 0 || end < begin {
		return s, fmt.Errorf("no program in %q", text)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 15 {
		return s, fmt.Errorf("%d fields after the program in %q; want 15 or more", len(fields), text)
	}
	var numbers [5]int
	for i, at := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		if numbers[i], err = strconv.Atoi(fields[at]); err != nil {
			return s, err
		}
	}
	return procStat{
		program: text[begin+1 : end], parent: numbers[0],
		own: float64(numbers[1]+numbers[2]) / ticksPerSecond, exited: float64(numbers[3]+numbers[4]) / ticksPerSecond,
	}, nil
}
