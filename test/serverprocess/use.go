package serverprocess

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// sampled is how often the memory of a process is looked at.
const sampled = time.Second / 4

// use is what a process takes, from its start to its end.
type use struct {
	command *exec.Cmd
	done    chan struct{}
	cpu     time.Duration

	mu   sync.Mutex
	peak int64
}

func watch(command *exec.Cmd) *use {
	u := &use{command: command, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		tick := time.NewTicker(sampled)
		defer tick.Stop()
		for range tick.C {
			if !u.sample() {
				return
			}
		}
	}()
	return u
}

var residentSize = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// sample looks at the memory of the process, and tells whether it has any.
func (u *use) sample() bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", u.command.Process.Pid))
	found := residentSize.FindSubmatch(status)
	if err != nil || found == nil {
		return false // it has ended
	}
	kilobytes, _ := strconv.ParseInt(string(found[1]), 10, 64)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.peak = max(u.peak, kilobytes<<10)
	return true
}

// finish is called when the process has ended.
func (u *use) finish() {
	<-u.done
	u.cpu = u.command.ProcessState.UserTime() + u.command.ProcessState.SystemTime()
}

// Peak is the most memory in bytes that the process was seen to take, four times a second, since it was started.
func (p *Process) Peak() int64 {
	p.use.mu.Lock()
	defer p.use.mu.Unlock()
	return p.use.peak
}

// CPU is for how long processors have worked for the process, once it has ended.
func (p *Process) CPU() time.Duration { return p.use.cpu }
