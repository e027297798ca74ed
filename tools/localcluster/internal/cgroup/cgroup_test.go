package cgroup

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const mixed = `30 20 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
32 30 0:27 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids
33 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 30 0:29 / /elsewhere rw - cgroup2 cgroup2 rw
`

func TestParseFindsBothVersions(t *testing.T) {
	got, err := parse(strings.NewReader(mixed))
	want := []Hierarchy{
		{Mount: "/sys/fs/cgroup/cpuset", Controllers: []string{"rw", "cpuset"}},
		{Mount: "/sys/fs/cgroup/pids", Controllers: []string{"rw", "pids"}},
		{Mount: "/sys/fs/cgroup/unified", Unified: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parse = %+v, %v; want %+v", got, err, want)
	}
	if _, err := parse(strings.NewReader("")); err == nil {
		t.Error("a machine without control groups was accepted")
	}
}

// hierarchies makes folders that look like control group trees.
func hierarchies(t *testing.T) []Hierarchy {
	t.Helper()
	root := t.TempDir()
	made := []Hierarchy{
		{Mount: filepath.Join(root, "cpuset"), Controllers: []string{"cpuset"}},
		{Mount: filepath.Join(root, "pids"), Controllers: []string{"pids"}},
	}
	for _, h := range made {
		if err := os.MkdirAll(filepath.Join(h.Mount, "g"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := os.WriteFile(filepath.Join(made[0].Mount, file), []byte("0-1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(made[0].Mount, "g", file), []byte("\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func TestEnsureFillsCpusetAndTracksInPids(t *testing.T) {
	made := hierarchies(t)
	g := Group{Name: "g", Hierarchies: made}
	procs, err := g.Ensure()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(made[1].Mount, "g", "system", "cgroup.procs"); procs != want {
		t.Errorf("Ensure = %s, want %s", procs, want)
	}
	content, err := os.ReadFile(filepath.Join(made[0].Mount, "g", "cpuset.cpus"))
	if err != nil || string(content) != "0-1\n" {
		t.Errorf("cpuset.cpus = %q, %v", content, err)
	}
}

func TestProcessesOfEveryHierarchy(t *testing.T) {
	made := hierarchies(t)
	for i, text := range []string{"12\n13\n", "13\n1\n400\n"} {
		if err := os.WriteFile(filepath.Join(made[i].Mount, "g", "cgroup.procs"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Group{Name: "g", Hierarchies: made}.Processes()
	if want := []int{12, 13, 400}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Processes = %v, %v; want %v", got, err, want)
	}
	if got, err := (Group{Name: "absent", Hierarchies: made}).Processes(); err != nil || len(got) != 0 {
		t.Errorf("Processes of an absent group = %v, %v", got, err)
	}
}
