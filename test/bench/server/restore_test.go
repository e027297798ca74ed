package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// TestAcknowledgedIsOnTheDisk records what a server asks of the system while clients log, upload and commit. At many of its
// answers, what the disk would hold if the machine lost power in this moment is restored, and everything that was
// acknowledged until then is found there: on a disk that has nothing but what was synced, and on one that has by chance some
// of the rest.
func TestAcknowledgedIsOnTheDisk(t *testing.T) {
	needStrace(t)
	folder := t.TempDir()
	data, trace := filepath.Join(folder, "mine", "data"), filepath.Join(t.TempDir(), "trace")
	must(t, os.Mkdir(filepath.Dir(data), 0o700))
	p := start(t, "real", data, store.Config{SQLitePath: filepath.Join(data, "wandb.sqlite")}, underStrace(trace, everything)...)
	told := &ledger{answers: map[int][]func(*promises){}}
	workTogether(t, p.url, data, told)
	p.stop(t)

	moments := readMoments(t, trace)
	r := replay{disk: newDisk(filepath.Dir(data)), data: "data", told: told.answers, made: promises{lines: map[string][]string{}, files: map[string]string{}}}
	for _, m := range moments {
		must(t, r.disk.apply(m))
		if port, ok := m.call.answerOf(); ok && !m.ended && r.acknowledge(port) {
			r.check(t)
		}
	}
	for port, left := range r.told {
		if len(left) > 0 {
			t.Errorf("%d answers at port %d are not in the trace", len(left), port)
		}
	}
	if r.answers < 100 || r.checks < 20 || !r.compacted {
		t.Errorf("of %d answers %d were looked at, after a compaction: %v", r.answers, r.checks, r.compacted)
	}
	t.Logf("%d moments, %d answers, %d disks", len(moments), r.answers, r.checks)
}

func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is not installed: apt-get install -y strace")
	}
}

// workTogether lets one client log so much that its lines are compacted, one log and upload a file, one log and commit.
func workTogether(t *testing.T, url, data string, told *ledger) {
	t.Helper()
	first := newCaller(t, url, "", told)
	must(t, first.setUp())
	logs := func(c *caller, run string, from, to int) error {
		random := rand.New(rand.NewPCG(uint64(from), uint64(len(run)))) // repeatable
		for n := from; n < to; n++ {
			if err := c.log(run, n, noise(random, 3000)); err != nil {
				return err
			}
		}
		return nil
	}
	stories := []func(c *caller, run string) error{
		func(c *caller, run string) error {
			if err := logs(c, run, 0, 20); err != nil {
				return err
			}
			if err := c.upload(run, "media/a b.txt", "the bytes of a file of a run"); err != nil {
				return err
			}
			return logs(c, run, 20, 30)
		},
		func(c *caller, run string) error {
			if err := logs(c, run, 0, 10); err != nil {
				return err
			}
			if err := c.commit(run, map[string]string{"one.txt": "the bytes of one", "sub/two.bin": strings.Repeat("the bytes of two\x00", 40_000)}); err != nil {
				return err
			}
			return logs(c, run, 10, 20)
		},
		func(c *caller, run string) error {
			if err := logs(c, run, 0, 70); err != nil {
				return err
			}
			for began := time.Now(); ; wait(t, 20*time.Millisecond) {
				if found, _ := filepath.Glob(filepath.Join(data, "files", "objects", "history", "*", "*")); len(found) > 0 {
					break
				}
				if time.Since(began) > time.Minute {
					return fmt.Errorf("the lines of %s are never compacted", run)
				}
			}
			return logs(c, run, 70, 90)
		},
	}
	var group sync.WaitGroup
	for i, story := range stories {
		run := fmt.Sprintf("run-%d", i)
		c := newCaller(t, url, first.key, told)
		group.Go(func() {
			err := c.upsert(run)
			if err == nil {
				err = story(c, run)
			}
			if err != nil {
				t.Errorf("%s: %v", run, err)
			}
		})
	}
	group.Wait()
}

// noise is text that does not become much smaller when it is packed.
func noise(random *rand.Rand, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}

// replay walks through a trace.
type replay struct {
	disk *disk
	data string // in the folder of the disk
	told map[int][]func(*promises)
	made promises

	answers, checks  int
	compacted, whole bool
}

// acknowledge notes an answer at a port, and tells whether the disk of this moment is worth a look: after everything but
// lines, and after some of these.
func (r *replay) acknowledge(port int) bool {
	left := r.told[port]
	if len(left) == 0 {
		return false // a probe
	}
	objects, before := len(r.made.objects), r.made.extent()
	if left[0] != nil {
		left[0](&r.made)
	}
	r.told[port] = left[1:]
	r.answers++
	r.whole = before != r.made.extent()
	return r.whole || r.answers%10 == 0 || objects != len(r.made.objects)
}

// extent is how much was acknowledged that only a whole server finds.
func (p *promises) extent() [4]int {
	return [4]int{len(p.key), len(p.lines), len(p.files), len(p.artifact)}
}

// check restores the disk and looks for what was acknowledged.
func (r *replay) check(t *testing.T) {
	r.checks++
	for _, chance := range []bool{false, true} {
		random := rand.New(rand.NewPCG(uint64(r.answers), 0)) // repeatable
		r.disk.survives = nil
		if chance {
			r.disk.survives = func() bool { return random.IntN(2) == 0 }
		}
		image := r.disk.image()
		for _, object := range r.made.objects {
			if !holds(image, filepath.Join(r.data, "files", "objects")+"/", object) {
				t.Errorf("answer %d: the object %.40q was acknowledged and is not on the disk", r.answers, object)
			}
		}
		if len(r.made.lines) == 0 {
			continue
		}
		folder := filepath.Join(restore(t, image), r.data)
		db := store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")}
		findLines(t, openArchive(t, db, folder), r.answers, r.made.lines)
		for name := range image {
			r.compacted = r.compacted || strings.Contains(name, "/objects/history/") && !strings.HasSuffix(name, "/")
		}
		if r.whole && !chance {
			findRest(t, folder, db, r.answers, r.made)
		}
	}
}

// holds tells whether a file below a folder begins with a content; what follows tells what it is.
func holds(image map[string]string, below, content string) bool {
	for name, text := range image {
		if strings.HasPrefix(name, below) && strings.HasPrefix(text, content) {
			return true
		}
	}
	return false
}

func restore(t *testing.T, image map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, content := range image {
		path := filepath.Join(folder, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o700))
			continue
		}
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return folder
}

// findLines looks for every line with the packages that read history.
func findLines(t *testing.T, left archive, answer int, lines map[string][]string) {
	t.Helper()
	for run, want := range lines {
		found := map[string]string{}
		left.each(t, run, func(line string) {
			var row struct {
				Step json.Number `json:"_step"`
				Pad  string
			}
			must(t, json.Unmarshal([]byte(line), &row))
			found[row.Step.String()] = row.Pad
		})
		for step, pad := range want {
			if found[fmt.Sprint(step)] != pad {
				t.Fatalf("answer %d: line %d of %s was acknowledged and is not on the disk", answer, step, run)
			}
		}
	}
}

// findRest asks a server on the restored disk for files and artifacts.
func findRest(t *testing.T, folder string, db store.Config, answer int, made promises) {
	t.Helper()
	p := start(t, "real", folder, db)
	defer p.stop(t)
	c := newCaller(t, p.url, made.key, &ledger{answers: map[int][]func(*promises){}})
	for name, want := range made.files {
		if got, err := c.get("/files/bench/project/run-0/" + strings.ReplaceAll(name, " ", "%20")); got != want {
			t.Errorf("answer %d: the file %s was acknowledged and is %q, %v", answer, name, got, err)
		}
	}
	var found struct {
		Viewer  struct{ Username string }
		Project struct {
			ArtifactCollectionMembership *struct {
				Artifact struct {
					State string
					Files struct {
						Edges []struct {
							Node struct{ Name, DirectURL string }
						}
					}
				}
			}
		}
	}
	must(t, c.ask(`query { viewer { username } project(name: "project", entityName: "bench") { artifactCollectionMembership(name: "data:latest") {
		artifact { state files(first: 10) { edges { node { name directUrl } } } } } } }`, nil, &found, nil))
	if found.Viewer.Username != "bench" {
		t.Errorf("answer %d: the key was acknowledged and is that of %q", answer, found.Viewer.Username)
	}
	if made.artifact == nil {
		return
	}
	member := found.Project.ArtifactCollectionMembership
	if member == nil || member.Artifact.State != "COMMITTED" {
		t.Fatalf("answer %d: the artifact was acknowledged and is %+v", answer, member)
	}
	got := map[string]string{}
	for _, edge := range member.Artifact.Files.Edges {
		content, err := c.get(edge.Node.DirectURL)
		must(t, err)
		got[edge.Node.Name] = content
	}
	if !maps.Equal(got, made.artifact) {
		t.Errorf("answer %d: the artifact was acknowledged and holds %d other files", answer, len(got))
	}
}
