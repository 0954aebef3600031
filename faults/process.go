package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// replyTimeout is how long the command waits for a child that is not frozen.
const replyTimeout = 3 * time.Minute

// process is a child process.
type process struct {
	name    string
	address string // of the simulator
	cmd     *exec.Cmd
	input   io.WriteCloser
	ready   chan reply
	exited  chan struct{}
	mu      sync.Mutex
	next    int64
	waiting map[int64]chan reply
	killed  bool // by the command, so that its exit is no surprise
	status  error
}

// startProcess starts this binary as a child. Its log goes to a file in dir.
func startProcess(spec childSpec, dir string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, spec.Name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &process{name: spec.Name, cmd: exec.Command(self), ready: make(chan reply, 1), exited: make(chan struct{}), waiting: map[int64]chan reply{}}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(text), "GOTRACEBACK=all")
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.read(out)
		p.status = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// read passes the child's replies to those who wait for them.
func (p *process) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var r reply
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		if r.Ready {
			p.ready <- r
			continue
		}
		p.mu.Lock()
		if c := p.waiting[r.ID]; c != nil {
			c <- r
			delete(p.waiting, r.ID)
		}
		p.mu.Unlock()
	}
}

// waitReady waits until the child works.
func (p *process) waitReady(ctx context.Context) (reply, error) {
	select {
	case r := <-p.ready:
		p.ready <- r
		return r, nil
	case <-p.exited:
		return reply{}, fmt.Errorf("%s exited before it was ready; see its log", p.name)
	case <-time.After(replyTimeout):
		return reply{}, fmt.Errorf("%s was not ready within %s; see its log", p.name, replyTimeout)
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

// send writes a command and does not wait.
func (p *process) send(cmd command) {
	if text, err := json.Marshal(cmd); err == nil {
		_, _ = p.input.Write(append(text, '\n'))
	}
}

// ask writes a command and waits for its reply.
func (p *process) ask(ctx context.Context, cmd command) (reply, error) {
	answer := make(chan reply, 1)
	p.mu.Lock()
	p.next++
	cmd.ID = p.next
	p.waiting[cmd.ID] = answer
	p.mu.Unlock()
	p.send(cmd)
	select {
	case r := <-answer:
		if r.Error != "" {
			return r, fmt.Errorf("%s: %s: %s", p.name, cmd.Do, r.Error)
		}
		return r, nil
	case <-p.exited:
		return reply{}, fmt.Errorf("%s exited during %s; see its log", p.name, cmd.Do)
	case <-time.After(replyTimeout):
		return reply{}, fmt.Errorf("%s did not reply to %s within %s", p.name, cmd.Do, replyTimeout)
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends the child with SIGKILL and waits until it has exited.
func (p *process) kill() {
	p.expectExit()
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) expectExit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
}

// died returns an error if the child has exited although nobody killed it.
func (p *process) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited:
	default:
		return nil
	}
	if p.killed {
		return nil
	}
	return errors.Join(fmt.Errorf("%s exited by itself", p.name), p.status)
}
