package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
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
	"github.com/kubewandb/kubewandb/test/mysql"
)

// TestAcknowledgedIsOnTheDisk records what a server and its database ask of the system while clients log, upload and commit. At
// some of its answers, what the disks would hold if the machines lost power in this moment is restored, and everything that
// was acknowledged until then is found there: on disks that have nothing but what was synced, and on such that have by chance
// some of the rest.
func TestAcknowledgedIsOnTheDisk(t *testing.T) {
	needStrace(t)
	t.Run("sqlite", func(t *testing.T) {
		folder := t.TempDir()
		db := func(folder string) store.Config {
			return store.Config{SQLitePath: filepath.Join(dataIn(folder), "wandb.sqlite")}
		}
		r := &replay{disks: []*disk{newDisk(folder)}}
		r.worth = func(grown growth) (look, whole bool) {
			return grown.whole || grown.objects || r.answers%10 == 0, grown.whole
		}
		r.revive = func(t *testing.T, images []image) (string, store.Config) {
			folder := t.TempDir()
			images[0].restore(t, folder)
			return dataIn(folder), db(folder)
		}
		r.walk(t, r.record(t, folder, db(folder)))
		if r.checks < 20 || !r.compacted {
			t.Errorf("of %d answers %d were looked at, after a compaction: %v", r.answers, r.checks, r.compacted)
		}
	})
	t.Run("mysql", func(t *testing.T) {
		const turns, most = 2, 4 // of looks, which take seconds
		instance := mysql.PrepareInstance(t)
		instance.Run(t) // MySQL does not sync the folder in which it makes that of a database
		place := instance.Database(t)
		instance.Shutdown(t)
		folder, ofMySQL := t.TempDir(), newDisk(instance.Folder())
		must(t, ofMySQL.load())
		r := &replay{disks: []*disk{ofMySQL, newDisk(folder)}}
		r.worth = func(growth) (look, whole bool) {
			last := r.answers == r.all
			torn := ofMySQL.unsynced(".ibd") > 0 && len(r.made.lines) > 0 && r.checks < most-turns
			return last || torn || r.answers == r.all/turns, last
		}
		r.revive = func(t *testing.T, images []image) (string, store.Config) {
			instance, folder := mysql.PrepareInstance(t), t.TempDir()
			must(t, os.RemoveAll(instance.Folder()))
			images[0].restore(t, instance.Folder())
			instance.Run(t)
			images[1].restore(t, folder)
			return dataIn(folder), storeOf(instance.Holding(place))
		}
		trace := filepath.Join(t.TempDir(), "mysql")
		instance.Run(t, underStrace(trace, everything)...)
		ofServer := r.record(t, folder, storeOf(place))
		instance.Shutdown(t)
		r.walk(t, traceIn(t, trace), ofServer)
		if r.checks < turns || !r.compacted {
			t.Errorf("of %d answers %d were looked at, after a compaction: %v", r.answers, r.checks, r.compacted)
		}
	})
}

func dataIn(folder string) string { return filepath.Join(folder, "data") }

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

// replay walks through what programs asked of the system while a server answered.
type replay struct {
	// disks are what each program changes; that of the server comes last.
	disks []*disk
	// worth tells whether the disks are worth a look after an answer, and worth a server that looks.
	worth func(grown growth) (look, whole bool)
	// revive makes data folder and database of a server of what disks held.
	revive func(t *testing.T, images []image) (folder string, db store.Config)

	all  int // how many answers there are
	told map[int][]func(*promises)
	made promises

	answers, checks int
	compacted       bool
}

// growth is what an answer has acknowledged: bytes in the bucket, or something that only a whole server finds.
type growth struct{ objects, whole bool }

// record lets a server work on a data folder in an empty one, and returns what it asked.
func (r *replay) record(t *testing.T, folder string, db store.Config) iter.Seq[moment] {
	t.Helper()
	trace, told := filepath.Join(t.TempDir(), "server"), &ledger{answers: map[int][]func(*promises){}}
	p := start(t, realServer, dataIn(folder), db, underStrace(trace, everything)...)
	workTogether(t, p.URL, dataIn(folder), told)
	p.End(t)
	r.told, r.made = told.answers, promises{lines: map[string][]string{}, files: map[string]string{}}
	for _, answers := range told.answers {
		r.all += len(answers)
	}
	return traceIn(t, trace)
}

// walk follows a trace of each program.
func (r *replay) walk(t *testing.T, traces ...iter.Seq[moment]) {
	t.Helper()
	for program, m := range inOrder(traces...) {
		must(t, r.disks[program].apply(m))
		port, ok := m.call.answerOf()
		if !ok || m.ended || program != len(r.disks)-1 || len(r.told[port]) == 0 { // a probe has nothing told
			continue
		}
		if look, whole := r.worth(r.acknowledge(port)); look {
			r.check(t, whole)
		}
	}
	if r.answers != r.all || r.all < 100 {
		t.Errorf("of %d answers %d are in the trace", r.all, r.answers)
	}
	t.Logf("%d answers, %d of them looked at", r.answers, r.checks)
}

// acknowledge notes an answer at a port.
func (r *replay) acknowledge(port int) growth {
	objects, before := len(r.made.objects), r.made.extent()
	if acknowledged := r.told[port][0]; acknowledged != nil {
		acknowledged(&r.made)
	}
	r.told[port] = r.told[port][1:]
	r.answers++
	return growth{objects: objects != len(r.made.objects), whole: before != r.made.extent()}
}

// extent is how much was acknowledged that only a whole server finds.
func (p *promises) extent() [4]int {
	return [4]int{len(p.key), len(p.lines), len(p.files), len(p.artifact)}
}

// check restores the disks and looks for what was acknowledged.
func (r *replay) check(t *testing.T, whole bool) {
	r.checks++
	t.Run(fmt.Sprintf("answer %d", r.answers), func(t *testing.T) { r.checkImages(t, nil, whole) })
	random := rand.New(rand.NewPCG(uint64(r.answers), 0)) // repeatable
	t.Run(fmt.Sprintf("answer %d and more", r.answers), func(t *testing.T) {
		r.checkImages(t, func() bool { return random.IntN(2) == 0 }, false)
	})
}

func (r *replay) checkImages(t *testing.T, survives func() bool, whole bool) {
	images, unsynced := make([]image, len(r.disks)), 0
	for i, d := range r.disks {
		d.survives = survives
		images[i] = d.image()
		unsynced += d.unsynced("")
	}
	t.Logf("%d changes are not synced", unsynced)
	ofServer := images[len(images)-1]
	for _, object := range r.made.objects {
		if !ofServer.holds("data/files/objects/", object) {
			t.Errorf("the object %.40q was acknowledged and is not on the disk", object)
		}
	}
	if len(r.made.lines) == 0 {
		return
	}
	folder, db := r.revive(t, images)
	findLines(t, openArchive(t, db, folder), r.made.lines)
	for name := range ofServer {
		r.compacted = r.compacted || strings.Contains(name, "/objects/history/") && !strings.HasSuffix(name, "/")
	}
	if whole {
		findRest(t, folder, db, r.made)
	}
}

// holds tells whether a file below a folder begins with a content; what follows tells what it is.
func (i image) holds(below, content string) bool {
	for name, text := range i {
		if strings.HasPrefix(name, below) && bytes.HasPrefix(text, []byte(content)) {
			return true
		}
	}
	return false
}

func (i image) restore(t *testing.T, folder string) {
	t.Helper()
	for name, content := range i {
		path := filepath.Join(folder, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o700))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, content, 0o600))
	}
}

// findLines looks for every line with the packages that read history.
func findLines(t *testing.T, left archive, lines map[string][]string) {
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
				t.Fatalf("line %d of %s was acknowledged and is not on the disk", step, run)
			}
		}
	}
}

// findRest asks a server on the restored disk for files and artifacts.
func findRest(t *testing.T, folder string, db store.Config, made promises) {
	t.Helper()
	p := start(t, realServer, folder, db)
	defer p.End(t)
	c := newCaller(t, p.URL, made.key, &ledger{answers: map[int][]func(*promises){}})
	for name, want := range made.files {
		if got, err := c.get("/files/bench/project/run-0/" + strings.ReplaceAll(name, " ", "%20")); got != want {
			t.Errorf("the file %s was acknowledged and is %q, %v", name, got, err)
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
		t.Errorf("the key was acknowledged and is that of %q", found.Viewer.Username)
	}
	if made.artifact == nil {
		return
	}
	member := found.Project.ArtifactCollectionMembership
	if member == nil || member.Artifact.State != "COMMITTED" {
		t.Fatalf("the artifact was acknowledged and is %+v", member)
	}
	got := map[string]string{}
	for _, edge := range member.Artifact.Files.Edges {
		content, err := c.get(edge.Node.DirectURL)
		must(t, err)
		got[edge.Node.Name] = content
	}
	if !maps.Equal(got, made.artifact) {
		t.Errorf("the artifact was acknowledged and holds %d other files", len(got))
	}
}
