package client_test

import (
	"bufio"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/client"
)

// ends waits until nothing of a test's scripts can still ask, then checks what was asked.
func (p *program) ends(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { p.check(t) })
}

// TestStories runs programs as users write them, each with a server of its own. A story checks what it did and prints "good".
func TestStories(t *testing.T) {
	for _, story := range []struct{ name, script string }{
		{"a training loop is read back", "train.py"},
		{"media and tables are read back", "media.py"},
		{"runs are rewound and forked", "rewind.py"},
		{"sixteen processes at once", "many.py"},
		{"eight processes share a run", "shared.py"},
		{"artifacts", "artifacts.py"},
		{"sweeps with an agent", "sweep.py"},
		{"sweeps from the command line", "agents.py"},
		{"the public Api reads many runs", "api.py"},
		{"a run is stopped from outside", "stop.py"},
	} {
		t.Run(story.name, func(t *testing.T) {
			p := serve(t)
			p.ends(t)
			p.runs(t, p.user(t, "ada"), story.script)
		})
	}
}

func TestAKilledRunIsResumed(t *testing.T) {
	p := serve(t)
	p.ends(t)
	home := p.user(t, "ada")
	doomed := home.Command(t.Context(), "python", script(t, "crash.py"), "victim")
	output, err := doomed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := doomed.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != "logged" {
	}
	// What the server acknowledged is all there is: the rest dies with the process.
	await(t, 30*time.Second, "the server has every line", func(context.Context) bool {
		for _, r := range p.tape.requests() {
			if strings.HasSuffix(r.Path, "/file_stream") && r.Status == 200 && strings.Contains(string(r.Body), `before 29`) {
				return true
			}
		}
		return false
	})
	if err := syscall.Kill(-doomed.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = doomed.Wait() // it was killed
	p.runs(t, home, "resume.py", "victim")
}

func TestWhatWasLoggedOfflineIsSynced(t *testing.T) {
	p, home, folders := logsOffline(t, client.Newest())
	result := home.Run(t, "wandb", append([]string{"sync"}, folders...)...)
	if result.Code != 0 {
		t.Fatalf("exit code %d: %s\n%s", result.Code, result.Output, p.logs.tail())
	}
	p.runs(t, home, "synced.py")
	if result := home.Run(t, "wandb", append([]string{"sync"}, folders...)...); result.Code != 0 { // nothing is left to send
		t.Fatalf("exit code %d: %s", result.Code, result.Output)
	}
	p.runs(t, home, "synced.py")
	again := append([]string{"sync", "--include-synced"}, folders...)
	if result := home.Run(t, "wandb", again...); result.Code != 0 {
		t.Fatalf("exit code %d: %s", result.Code, result.Output)
	}
	p.runs(t, home, "synced.py")
}

// The oldest client syncs by other code than it logs with, which reads what its core has written.
func TestTheOldestClientSyncs(t *testing.T) {
	p, home, folders := logsOffline(t, client.Oldest())
	for range 2 { // what is sent again changes nothing
		result := home.Run(t, "wandb", append([]string{"sync", "--include-synced"}, folders...)...)
		if result.Code != 0 {
			t.Fatalf("exit code %d: %s\n%s", result.Code, result.Output, p.logs.tail())
		}
		p.runs(t, home, "synced.py")
	}
}

// logsOffline trains without a network, and returns the folders of the runs.
func logsOffline(t *testing.T, release client.Release) (p *program, home *client.Home, folders []string) {
	t.Helper()
	p = serve(t)
	p.ends(t)
	home = p.userOf(t, release, "ada")
	p.runs(t, home, "offline.py")
	if asked := p.tape.requests(); len(asked) > 0 {
		t.Errorf("an offline run asked for %s", asked[0].Path)
	}
	folders, err := filepath.Glob(filepath.Join(home.Folder, "wandb", "offline-run-*"))
	if err != nil || len(folders) != 2 {
		t.Fatalf("offline runs in %v, %v", folders, err)
	}
	return p, home, folders
}

// The oldest client trains, resumes, moves artifacts and runs sweeps too.
func TestTheOldestClient(t *testing.T) {
	p := serve(t)
	p.ends(t)
	home := p.userOf(t, client.Oldest(), "ada")
	p.runs(t, home, "old.py")
}
