// Package progress prints what a long command does, one line a step, with the
// time that each step took.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// patience is how long a step stays silent before it is reported as still
// running: long enough that quick steps print one line, short enough that a
// person watching a build sees it live.
const patience = 20 * time.Second

// Printer writes steps to one writer; it is safe for concurrent use.
type Printer struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
	now   func() time.Time
}

// New returns a printer whose first column counts from now on.
func New(out io.Writer) *Printer {
	return &Printer{out: out, start: time.Now(), now: time.Now}
}

// Step runs work and prints name with its duration, or with the error that
// ended it, which is returned as it is.
func (p *Printer) Step(name string, work func() error) error {
	begun := p.now()
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(patience)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.line("...", name, p.now().Sub(begun), nil)
			}
		}
	}()
	err := work()
	close(done)
	<-stopped
	mark := "ok"
	if err != nil {
		mark = "FAILED"
	}
	p.line(mark, name, p.now().Sub(begun), err)
	return err
}

// Note prints one line outside the steps.
func (p *Printer) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, "%8s  %-6s  %s\n", seconds(p.now().Sub(p.start)), "", fmt.Sprintf(format, args...))
}

// Elapsed is the time since the printer was made.
func (p *Printer) Elapsed() time.Duration { return p.now().Sub(p.start) }

func (p *Printer) line(mark, name string, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	suffix := ""
	if err != nil {
		suffix = ": " + err.Error()
	}
	_, _ = fmt.Fprintf(p.out, "%8s  %-6s  %-46s %8s%s\n", seconds(p.now().Sub(p.start)), mark, name, seconds(took), suffix)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
