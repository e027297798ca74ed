package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// commandDeadline bounds one outside command; the longest, a cold build of Kubernetes, took eight minutes.
const commandDeadline = 25 * time.Minute

// progress prints one line per step with its duration, so that a wait always says what for.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, start: time.Now()} }

// step runs work and prints its name before and its duration after.
func (p *progress) step(name string, work func() error) error {
	p.line("  … %s", name)
	began := time.Now()
	if err := work(); err != nil {
		p.line("  ✗ %s (%s)", name, elapsed(began))
		return fmt.Errorf("%s: %w", strings.ToLower(name[:1])+name[1:], err)
	}
	p.line("  ✓ %s (%s)", name, elapsed(began))
	return nil
}

func (p *progress) line(format string, arguments ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%6.1fs "+format+"\n", append([]any{time.Since(p.start).Seconds()}, arguments...)...)
}

func elapsed(since time.Time) time.Duration { return time.Since(since).Round(100 * time.Millisecond) }

// invocation is one outside command of the demo.
type invocation struct {
	env   []string
	stdin io.Reader
	// stream shows the command's standard error while it runs: for commands that report progress themselves.
	stream io.Writer
}

// run runs a command and returns its standard output. The error holds the end of its standard error.
func (i invocation) run(ctx context.Context, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandDeadline)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, ownProgram(name), arguments...)
	command.Env = append(os.Environ(), i.env...)
	command.Stdin = i.stdin
	command.Stdout = &stdout
	command.Stderr = &stderr
	if i.stream != nil {
		command.Stderr = io.MultiWriter(&stderr, i.stream)
	}
	if err := command.Run(); err != nil {
		verb := name
		if len(arguments) > 0 {
			verb += " " + arguments[0]
		}
		return "", fmt.Errorf("run %s: %w%s", verb, err, indent(tail(stderr.String(), 15)))
	}
	return stdout.String(), nil
}

// ownProgram prefers a program in bin/ to one of the same name elsewhere: exec searches this process's PATH, not that
// of the command's environment.
func ownProgram(name string) string {
	path, err := filepath.Abs(filepath.Join(binDir, name))
	if err != nil {
		return name
	}
	if _, err := os.Stat(path); err != nil {
		return name
	}
	return path
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "\n    " + strings.ReplaceAll(text, "\n", "\n    ")
}

// poll calls ready until it says yes, fails for good, or the time is up; last is what it waits for, for the error.
func poll(ctx context.Context, limit, every time.Duration, ready func(context.Context) (done bool, last string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	waiting := "no answer yet"
	for {
		done, last, err := ready(ctx)
		if ctx.Err() == nil {
			if err != nil {
				return err
			}
			if done {
				return nil
			}
			waiting = last
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not done after %s: %s", limit, waiting), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
