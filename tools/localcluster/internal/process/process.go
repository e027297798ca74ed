// Package process starts programs that outlive the command that started them,
// remembers them on disk, and ends exactly those again.
//
// A process is known by its id together with its start time and the boot it
// belongs to. An id that the kernel gave to another program in the meantime is
// therefore never signalled.
package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Record identifies one started process.
type Record struct {
	PID int `json:"pid"`
	// Start is the process's start time in clock ticks since boot.
	Start uint64 `json:"start"`
	// Boot is the kernel's id of the boot in which the process was started.
	Boot string `json:"boot"`
	// Digest names the program, arguments and configuration it was started with.
	Digest string `json:"digest"`
}

// Spec says how a process is started.
type Spec struct {
	// Argv is the absolute program and its arguments.
	Argv []string
	// Env is added to a minimal environment.
	Env []string
	// Namespace is the path of the network namespace to run in; empty means the
	// caller's own.
	Namespace string
	// Log is the file that receives both output streams, appended to.
	Log string
	// Files become descriptors 3, 4, … of the process.
	Files []*os.File
	// Cgroup is a cgroup.procs file into which the process is put.
	Cgroup string
	// Digest is copied into the record.
	Digest string
}

// Start starts the process in a session of its own. The returned channel is
// closed when the process ends while the caller still lives.
func Start(spec Spec) (Record, <-chan struct{}, error) {
	argv := spec.Argv
	if spec.Namespace != "" {
		// nsenter, not `ip netns exec`: the latter mounts a new /sys, in which
		// the kubelet finds no cgroups. It replaces itself by the program, so
		// the process id is the program's.
		nsenter, err := exec.LookPath("nsenter")
		if err != nil {
			return Record{}, nil, fmt.Errorf("find nsenter (install util-linux): %w", err)
		}
		argv = append([]string{nsenter, "--net=" + spec.Namespace, "--"}, argv...)
	}
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return Record{}, nil, fmt.Errorf("create log folder: %w", err)
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Record{}, nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8",
	}, spec.Env...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = spec.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// What this command inherited, as from flock(1) or make, must not live on in
	// a process that outlasts it: the lock would never be released. Descriptors
	// that the process is meant to have are copied after this.
	const firstInherited = 3
	if err := unix.CloseRange(firstInherited, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return Record{}, nil, fmt.Errorf("keep inherited files from the process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return Record{}, nil, fmt.Errorf("start %s: %w", spec.Argv[0], err)
	}
	ended := make(chan struct{})
	// The group is joined before the child has had time to start children of
	// its own: containerd starts its first shim long after.
	var joinErr error
	if spec.Cgroup != "" {
		joinErr = os.WriteFile(spec.Cgroup, []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
	}
	stat, statErr := readStat(cmd.Process.Pid)
	boot, bootErr := bootID()
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	if err := errors.Join(joinErr, statErr, bootErr); err != nil {
		_ = cmd.Process.Kill()
		return Record{}, nil, fmt.Errorf("identify the started process: %w", err)
	}
	return Record{PID: cmd.Process.Pid, Start: stat.start, Boot: boot, Digest: spec.Digest}, ended, nil
}

// Alive tells whether the recorded process still runs. A zombie does not.
func (r Record) Alive() bool {
	if r.PID <= 1 {
		return false
	}
	stat, err := readStat(r.PID)
	if err != nil || stat.start != r.Start || stat.state == 'Z' || stat.state == 'X' {
		return false
	}
	boot, err := bootID()
	return err == nil && boot == r.Boot
}

// ResidentBytes is the memory of the process that is not swapped or unmapped.
func (r Record) ResidentBytes() int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.PID))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// Signal sends sig to the recorded process and to nothing else.
func (r Record) Signal(sig os.Signal) error {
	// FindProcess holds a descriptor of the process, so that the id cannot be
	// recycled between the comparison and the signal.
	handle, err := os.FindProcess(r.PID)
	if err != nil {
		return fmt.Errorf("find process %d: %w", r.PID, err)
	}
	defer func() { _ = handle.Release() }()
	if !r.Alive() {
		return os.ErrProcessDone
	}
	if err := handle.Signal(sig); err != nil {
		return fmt.Errorf("signal process %d: %w", r.PID, err)
	}
	return nil
}

// Stop asks the process to end, waits up to grace or until ctx ends, and kills
// it then.
func (r Record) Stop(ctx context.Context, grace time.Duration) error {
	if err := r.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return err
	}
	if r.wait(ctx, grace) {
		return nil
	}
	if err := r.Signal(syscall.SIGKILL); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return err
	}
	// A killed process ends as soon as the kernel has released its memory.
	const killTime = 10 * time.Second
	if !r.wait(context.WithoutCancel(ctx), killTime) {
		return fmt.Errorf("end process %d: still there %s after SIGKILL", r.PID, killTime)
	}
	return nil
}

func (r Record) wait(ctx context.Context, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for r.Alive() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// Save writes the record to path.
func (r Record) Save(path string) error {
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode process record: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create folder of process records: %w", err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write process record: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace process record: %w", err)
	}
	return nil
}

// Load reads the record at path; a missing or torn file is the zero record,
// which is never alive.
func Load(path string) (Record, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("read process record: %w", err)
	}
	var r Record
	if err := json.Unmarshal(content, &r); err != nil {
		return Record{}, nil // the zero record makes up start the process again
	}
	return r, nil
}

type stat struct {
	state byte
	start uint64
}

func readStat(pid int) (stat, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("read state of process %d: %w", pid, err)
	}
	return parseStat(content)
}

// parseStat reads fields 3 (state) and 22 (start time) of /proc/<pid>/stat. The
// second field is the program's name in brackets and may hold blanks and
// brackets itself, so fields are counted from the last bracket.
func parseStat(content []byte) (stat, error) {
	const fieldsFromState, startField = 20, 19
	closing := bytes.LastIndexByte(content, ')')
	if closing < 0 {
		return stat{}, errors.New("parse process state: no program name")
	}
	fields := strings.Fields(string(content[closing+1:]))
	if len(fields) < fieldsFromState {
		return stat{}, fmt.Errorf("parse process state: %d fields after the name, want %d", len(fields), fieldsFromState)
	}
	start, err := strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("parse process start time: %w", err)
	}
	return stat{state: fields[0][0], start: start}, nil
}

func bootID() (string, error) {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}
