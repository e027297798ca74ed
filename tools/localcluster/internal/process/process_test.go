package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
	for name, test := range map[string]struct {
		content string
		want    stat
		fails   bool
	}{
		"a plain name":             {"12 (etcd)" + rest, stat{'S', 4242}, false},
		"a name with brackets":     {"12 (a) Z (b)" + rest, stat{'S', 4242}, false},
		"no name":                  {"12 etcd" + rest, stat{}, true},
		"too few fields":           {"12 (etcd) S 1 2", stat{}, true},
		"a start time of no digit": {"12 (etcd)" + strings.Replace(rest, "4242", "x", 1), stat{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(test.content))
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("parseStat = %+v, %v", got, err)
			}
		})
	}
}

func sleeper(t *testing.T, argv ...string) (Record, <-chan struct{}) {
	t.Helper()
	record, ended, err := Start(Spec{Argv: argv, Log: filepath.Join(t.TempDir(), "log"), Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := record.Stop(context.Background(), time.Second); err != nil {
			t.Error(err)
		}
	})
	return record, ended
}

func TestRecordSurvivesAndStops(t *testing.T) {
	record, ended := sleeper(t, "/bin/sleep", "60")
	path := filepath.Join(t.TempDir(), "processes", "x.json")
	if err := record.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil || loaded != record {
		t.Fatalf("Load = %+v, %v; want %+v", loaded, err, record)
	}
	if !loaded.Alive() {
		t.Fatal("a running process is said to be dead")
	}
	if err := loaded.Stop(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	<-ended
	if loaded.Alive() {
		t.Error("an ended process is said to be alive")
	}
	if err := loaded.Stop(t.Context(), time.Second); err != nil {
		t.Errorf("stop an ended process: %v", err)
	}
}

func TestStopKillsWhatIgnoresTheRequest(t *testing.T) {
	record, ended := sleeper(t, "/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")
	time.Sleep(100 * time.Millisecond)
	if err := record.Stop(t.Context(), 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func TestRecycledIDIsNotSignalled(t *testing.T) {
	record, _ := sleeper(t, "/bin/sleep", "60")
	for name, other := range map[string]Record{
		"another start time": {PID: record.PID, Start: record.Start + 1, Boot: record.Boot},
		"another boot":       {PID: record.PID, Start: record.Start, Boot: "other"},
		"the zero record":    {},
		"the first process":  {PID: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if other.Alive() {
				t.Error("it is said to be alive")
			}
			if err := other.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) && other.PID > 0 {
				t.Errorf("Signal = %v, want that the process is done", err)
			}
		})
	}
	if !record.Alive() {
		t.Fatal("the process was signalled under another one's record")
	}
}

func TestTornRecordIsNoProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(path, []byte(`{"pid":12`), 0o644); err != nil {
		t.Fatal(err)
	}
	if record, err := Load(path); err != nil || record.Alive() {
		t.Errorf("Load = %+v, %v", record, err)
	}
}

// A lock held through an inherited descriptor, as flock(1) does, would be held
// for as long as the cluster runs.
func TestInheritedFilesDoNotReachTheProcess(t *testing.T) {
	fd, err := unix.Open(filepath.Join(t.TempDir(), "lock"), unix.O_CREAT|unix.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	given, err := os.CreateTemp(t.TempDir(), "given")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	_, ended, err := Start(Spec{Argv: []string{"/bin/sh", "-c", "ls -l /proc/self/fd/"}, Log: log, Files: []*os.File{given}})
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "/lock") {
		t.Errorf("the process holds an inherited file:\n%s", content)
	}
	if !strings.Contains(string(content), "3 -> "+given.Name()) {
		t.Errorf("the process lacks the file that it was given:\n%s", content)
	}
}
