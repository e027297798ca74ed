package run_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// pass lets time go by with a replica that is ready and looks every 15 seconds.
func (sc *scene) pass(t testing.TB, d time.Duration) {
	t.Helper()
	for end := sc.now.Add(d); sc.now.Before(end); sc.now = sc.now.Add(15 * time.Second) {
		if err := sc.Watch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (sc *scene) state(t testing.TB, in run.Upserted) string {
	t.Helper()
	record, err := sc.ByName(sc.ada, in.Place, string(in.Name))
	if err != nil {
		t.Fatal(err)
	}
	return run.StateName(record.Live.State)
}

func TestARunThatIsSilentHasCrashed(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		silent := sc.put(t, run.Upsert{Name: "silent"})
		suspended := sc.put(t, run.Upsert{Name: "suspended"})
		sc.setState(t, suspended.ID, store.RunPreempting)
		waiting := sc.put(t, run.Upsert{Name: "waiting", State: ptr("pending")})
		ended := sc.put(t, run.Upsert{Name: "ended"})
		sc.setState(t, ended.ID, store.RunFinished)
		sc.pass(t, 4*time.Minute)
		alive := sc.put(t, run.Upsert{Name: "alive"})
		if got := sc.state(t, silent); got != "running" {
			t.Errorf("after four minutes: %s", got)
		}
		sc.pass(t, 90*time.Second)
		for want, in := range map[string]run.Upserted{
			"crashed": silent, "preempted": suspended, "pending": waiting, "finished": ended, "running": alive,
		} {
			if got := sc.state(t, in); got != want {
				t.Errorf("%s is %s, want %s", in.Name, got, want)
			}
		}
	})
}

func TestTimeWithoutAReplicaDoesNotCount(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r"})
		sc.pass(t, 2*time.Minute)
		sc.now = sc.now.Add(3 * time.Hour) // every replica is down
		sc.pass(t, 2*time.Minute)
		if got := sc.state(t, made); got != "running" {
			t.Errorf("after four minutes in which it could be heard of: %s", got)
		}
		sc.pass(t, 2*time.Minute)
		if got := sc.state(t, made); got != "crashed" {
			t.Errorf("after six minutes in which it could be heard of: %s", got)
		}
	})
}

func TestOneReplicaWatches(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		now, until := sc.now, sc.now.Add(time.Minute)
		for i, step := range []struct {
			holder string
			at     time.Time
			want   bool
		}{{"a", now, true}, {"b", now, false}, {"a", now, true}, {"b", until.Add(time.Second), true}, {"a", until.Add(time.Second), false}} {
			got, err := sc.store.TakeDuty(t.Context(), "duty", step.holder, step.at, step.at.Add(time.Minute))
			if err != nil || got != step.want {
				t.Errorf("step %d: %v, %v", i, got, err)
			}
		}
	})
}

func TestWhatADeletedRunLeavesIsRemoved(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		h := &histories{}
		sc.Histories = h
		made := sc.put(t, run.Upsert{Name: "r"})
		kept := sc.put(t, run.Upsert{Name: "kept"})
		sc.upload(t, made.ID, "a", "b/c")
		sc.upload(t, kept.ID, "a")
		uploads, err := sc.Uploads(sc.ada, made.ID, []string{"late"})
		if err != nil {
			t.Fatal(err)
		}
		if err := sc.Delete(sc.bob, made.ID, false); !access.IsNotFound(err) {
			t.Errorf("another user deletes the run: %v", err)
		}
		if err := sc.Delete(sc.ada, made.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := sc.ByName(sc.ada, made.Place, "r"); !access.IsNotFound(err) {
			t.Errorf("the deleted run: %v", err)
		}
		sc.pass(t, time.Minute)
		if len(sc.bucket.objects) != 1 || !slices.Contains(h.deleted, made.ID) {
			t.Errorf("%d objects are left, histories of %v are deleted", len(sc.bucket.objects), h.deleted)
		}
		sc.bucket.put(t, uploads[0].URL, "late") // with a URL that was signed before
		sc.now = sc.now.Add(26 * time.Hour)
		sc.pass(t, time.Minute)
		remains, err := sc.store.RunRemains(t.Context(), 0, 10)
		if len(sc.bucket.objects) != 1 || err != nil || len(remains) != 0 {
			t.Errorf("%d objects and %v are left, %v", len(sc.bucket.objects), remains, err)
		}
	})
}

func TestStatesThatPeopleSet(t *testing.T) {
	sc := newScene(t, sqlite(t))
	allowed := map[string][]string{
		"pending": {"running", "failed", "crashed", "preempted"}, "failed": {"pending", "running"},
	}
	made := sc.put(t, run.Upsert{Name: "r"})
	for _, from := range strings.Fields("pending running finished failed crashed killed preempting preempted") {
		for _, to := range strings.Fields("pending running finished failed crashed killed preempting preempted") {
			state, err := run.ParseState(from)
			if err != nil {
				t.Fatal(err)
			}
			sc.setState(t, made.ID, state)
			err = sc.SetState(sc.ada, made.ID, to)
			if want := slices.Contains(allowed[to], from); (err == nil) != want {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
			if err != nil && (!strings.Contains(err.Error(), "invalid state transition") || fault.Reason(err, "") != run.ReasonTransition) {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
			if got := sc.state(t, made); (err == nil && got != to) || (err != nil && got != from) {
				t.Errorf("from %s to %s: it is %s", from, to, got)
			}
		}
	}
	if err := sc.SetState(sc.bob, made.ID, "failed"); !access.IsNotFound(err) {
		t.Errorf("another user sets the state: %v", err)
	}
}

func TestARunIsAskedToStop(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r", Config: config("a")})
		stopping := func() bool {
			record, err := sc.ByName(sc.ada, made.Place, "r")
			if err != nil {
				t.Fatal(err)
			}
			return record.Live.Stopping
		}
		for range 2 {
			if err := sc.Stop(sc.ada, made.ID); err != nil || !stopping() {
				t.Errorf("stop: %v", err)
			}
		}
		if err := sc.Stop(sc.bob, made.ID); !access.IsNotFound(err) {
			t.Errorf("another user stops the run: %v", err)
		}
		sc.setState(t, made.ID, store.RunFinished)
		sc.put(t, run.Upsert{Name: "r", Config: config("b")})
		if stopping() {
			t.Error("a run that begins again is still asked to stop")
		}
		sc.setState(t, made.ID, store.RunFinished)
		if err := sc.Stop(sc.ada, made.ID); err != nil || stopping() {
			t.Errorf("a finished run is asked to stop: %v", err)
		}
	})
}
