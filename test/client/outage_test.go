package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/client"
)

// An outage of a minute meets this many runs that are logging, and this many that begin.
const (
	outage           = time.Minute
	loggingProcesses = 5
	loggingRuns      = 40
	startingPrograms = 5
	startingRuns     = 10
	outageEnds       = 4 * time.Minute
)

// crew is one process of the client with many runs.
type crew struct {
	name   string
	cmd    *exec.Cmd
	output bytes.Buffer
	failed bytes.Buffer
}

func startCrew(t *testing.T, ctx context.Context, home *client.Home, role, folder, name string, runs int) *crew {
	t.Helper()
	c := &crew{name: name, cmd: home.Command(ctx, "python", script(t, "outage.py"), role, folder, strconv.Itoa(runs), name)}
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.failed
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// rows waits until the process has ended and returns how many rows it logged into each of its runs.
func (c *crew) rows(t *testing.T) map[string]int {
	t.Helper()
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("%s: %v: %s", c.name, err, c.failed.Bytes()[max(0, c.failed.Len()-3000):])
		return nil
	}
	lines := strings.Split(strings.TrimSpace(c.output.String()), "\n")
	var rows map[string]int
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &rows); err != nil {
		t.Errorf("%s printed %q: %v", c.name, c.output.String(), err)
	}
	return rows
}

// TestAnOutageLosesNoLine takes every replica away for a minute while runs log and others begin: no client fails, and every
// row arrives.
func TestAnOutageLosesNoLine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes three minutes")
	}
	p := serve(t)
	p.tape.unannounced.Store(true)
	home, folder := p.user(t, "ada"), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), outage+2*outageEnds)
	defer cancel()
	var crews []*crew
	for i := range loggingProcesses {
		crews = append(crews, startCrew(t, ctx, home, "running", folder, fmt.Sprintf("running%d", i), loggingRuns))
	}
	for i := range startingPrograms {
		crews = append(crews, startCrew(t, ctx, home, "init", folder, fmt.Sprintf("init%d", i), startingRuns))
	}
	await(t, outageEnds, "every process is ready", func(context.Context) bool {
		ready, err := filepath.Glob(filepath.Join(folder, "*.ready"))
		return err == nil && len(ready) == len(crews)
	})
	p.stop(t)
	touch(t, filepath.Join(folder, "go"))
	select {
	case <-time.After(outage):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	p.start(t)
	for _, c := range crews[loggingProcesses:] {
		p.holds(t, home, c.rows(t))
	}
	touch(t, filepath.Join(folder, "stop"))
	for _, c := range crews[:loggingProcesses] {
		p.holds(t, home, c.rows(t))
	}
}

// holds reads every run back.
func (p *program) holds(t *testing.T, home *client.Home, rows map[string]int) {
	t.Helper()
	if rows == nil {
		return // told already
	}
	want, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	p.runs(t, home, "outage_rows.py", string(want))
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
