package run_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// scene is a database with two users, and a service whose clock stands still.
type scene struct {
	*run.Service
	store    *store.Store
	bucket   *memory
	now      time.Time
	ada, bob context.Context
}

func newScene(t testing.TB, s *store.Store) *scene {
	t.Helper()
	sc := &scene{store: s, bucket: &memory{objects: map[string]string{}}, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	sc.Service = run.New(s, run.Config{
		Guard: access.NewGuard(s), Bucket: sc.bucket, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return sc.now },
	})
	accounts := account.New(s, account.Config{})
	for name, into := range map[string]*context.Context{"ada": &sc.ada, "bob": &sc.bob} {
		user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: name, Email: name + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		*into = account.WithUser(t.Context(), user)
	}
	return sc
}

func (sc *scene) put(t testing.TB, u run.Upsert) run.Upserted {
	t.Helper()
	result, err := sc.Upsert(sc.ada, u)
	if err != nil {
		t.Fatalf("upsert %+v: %v", u, err)
	}
	return result
}

func (sc *scene) setState(t testing.TB, id store.ID, state store.RunState) {
	t.Helper()
	_, err := sc.store.ChangeRun(t.Context(), store.RunKey{ID: id}, "", func(before store.RunBefore) (store.RunAfter, error) {
		return store.RunAfter{Run: before.Run, State: state, Stopping: before.Live.Stopping}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func sqlite(t testing.TB) *store.Store { return storetest.Open(t, storetest.SQLite(t)) }

func each(t *testing.T, test func(t *testing.T, sc *scene)) {
	storetest.Each(t, func(t *testing.T, s *store.Store) { test(t, newScene(t, s)) })
}

func TestANewRunGetsItsPlaceAndItsName(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		first := sc.put(t, run.Upsert{Name: "r1"})
		if !first.Inserted || first.Place.Entity.Name != "ada" || first.Place.Project.Name != "uncategorized" || first.NextLine != 0 {
			t.Errorf("inserted %v in %s/%s", first.Inserted, first.Place.Entity.Name, first.Place.Project.Name)
		}
		if name := string(first.DisplayName); strings.Count(name, "-") != 2 || !strings.HasSuffix(name, "-1") {
			t.Errorf("display name %q", name)
		}
		if first.Live.State != store.RunRunning || first.Live.Rev != 1 || first.Live.HeartbeatAt.Time() != sc.now {
			t.Errorf("live %+v", first.Live)
		}
		second := sc.put(t, run.Upsert{Name: "r2", DisplayName: ptr("mine"), State: ptr("pending")})
		if second.DisplayName != "mine" || second.Live.State != store.RunPending {
			t.Errorf("second run is %q, %d", second.DisplayName, second.Live.State)
		}
		if third := sc.put(t, run.Upsert{Name: "r3"}); !strings.HasSuffix(string(third.DisplayName), "-3") {
			t.Errorf("third run is %q", third.DisplayName)
		}
		other := sc.put(t, run.Upsert{Name: "r1", Project: "other", Entity: "ADA"})
		if other.ID == first.ID || other.Place.Entity.Name != "ada" {
			t.Error("a run of another project is the same run")
		}
	})
}

func TestWhatIsNullStaysAsItIs(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		config := `{"lr":{"value":NaN},"big":{"value":9007199254740993},"_wandb":{"value":{"t":{"1":[]}}}}`
		made := sc.put(t, run.Upsert{
			Project: "p", Name: "r", Config: &config, Tags: []string{"b", "a", "b"}, Notes: ptr("note"), Group: ptr("g"),
			JobType: ptr("train"), Summary: ptr(`{"loss":1}`),
		})
		for sentence, u := range map[string]run.Upsert{
			"by name": {Project: "p", Name: "r"}, "by id": {ID: made.ID}, "by name, not known by the id": {Project: "p", Name: "r", Host: ptr("")},
		} {
			again := sc.put(t, u)
			if again.Inserted || again.ID != made.ID || string(again.Config) != config || again.GroupName != "g" ||
				string(again.Tags) != `["b","a"]` || string(again.Notes) != "note" || again.DisplayName != made.DisplayName {
				t.Errorf("%s: %+v", sentence, again.Run)
			}
		}
		changed := sc.put(t, run.Upsert{ID: made.ID, Tags: []string{}, Notes: ptr(""), Config: ptr(`{}`), Group: ptr("h")})
		if string(changed.Tags) != `[]` || len(changed.Notes) != 0 || string(changed.Config) != "{}" || changed.GroupName != "h" {
			t.Errorf("changed to %+v", changed.Run)
		}
		if changed.Live.Rev != 5 {
			t.Errorf("rev is %d after five changes", changed.Live.Rev)
		}
	})
}

func TestASummaryReplacesThoseOfAllWriters(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r", Summary: ptr(`{"a":1}`)})
		sc.put(t, run.Upsert{ID: made.ID, Summary: ptr(`{"b":1.0}`)})
		summaries, err := sc.Summaries(sc.ada, []store.ID{made.ID})
		if err != nil || string(summaries[made.ID]) != `{"b":1.0}` {
			t.Errorf("summary %s, %v", summaries[made.ID], err)
		}
	})
}

func TestConcurrentUpsertsOfOneNameMakeOneRun(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		a := newScene(t, storetest.Open(t, cfg))
		b := &scene{Service: run.New(storetest.Open(t, cfg), run.Config{Guard: access.NewGuard(a.store)}), ada: a.ada}
		const clients = 12
		var inserted, wrong int
		var first store.ID
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range clients {
			replica := []*scene{a, b}[i%2]
			group.Go(func() {
				result, err := replica.Upsert(replica.ada, run.Upsert{Project: "p", Name: "r"})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("upsert: %v", err)
					return
				}
				if result.Inserted {
					inserted++
				}
				if first == 0 {
					first = result.ID
				}
				if result.ID != first {
					wrong++
				}
			})
		}
		group.Wait()
		if inserted != 1 || wrong != 0 {
			t.Errorf("%d inserted, %d with another id", inserted, wrong)
		}
		if next := a.put(t, run.Upsert{Project: "p", Name: "s"}); !strings.HasSuffix(string(next.DisplayName), "-2") {
			t.Errorf("the next run is %s: runs are counted more than once", next.DisplayName)
		}
	})
}

func TestWhoMayUpsert(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Project: "p", Name: "r"})
		for sentence, u := range map[string]run.Upsert{
			"another user's entity":      {Entity: "ada", Project: "p", Name: "r"},
			"a new project of another":   {Entity: "ada", Project: "q", Name: "r"},
			"another user's run by id":   {ID: made.ID},
			"an entity that is not":      {Entity: "nobody", Name: "r"},
			"an id that does not exist":  {ID: 7},
			"a sweep without sweeps":     {Name: "r", Sweep: ptr("abc")},
			"a state that is none":       {Name: "r", State: ptr("resting")},
			"a run without a name":       {Project: "p"},
			"a run with a slash":         {Name: "a/b"},
			"a run with a long name":     {Name: strings.Repeat("x", 129)},
			"a project with a long name": {Name: "r", Project: strings.Repeat("x", 129)},
		} {
			result, err := sc.Upsert(sc.bob, u)
			if err == nil || fault.Reason(err, "") == store.ReasonUnavailable || fault.Reason(err, "") == "" {
				t.Errorf("%s: %+v, %v", sentence, result, err)
			}
		}
	})
}

func TestTheNameOfADeletedRunIsNotFree(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r"})
		if err := sc.Delete(sc.ada, made.ID, false); err != nil {
			t.Fatal(err)
		}
		_, err := sc.Upsert(sc.ada, run.Upsert{Name: "r"})
		if fault.Reason(err, "") != run.ReasonDeleted {
			t.Errorf("upsert of a deleted run: %v", err)
		}
		if _, err := sc.Upsert(sc.ada, run.Upsert{ID: made.ID}); !access.IsNotFound(err) {
			t.Errorf("upsert of a deleted run by id: %v", err)
		}
	})
}

// config is that of a process which began at a time.
func config(process string) *string {
	return ptr(fmt.Sprintf(`{"x":{"value":NaN},"_wandb":{"value":{"t":{},"e":{"%s":{"startedAt":"2026-11-01T00:00:00Z"}}}}}`, process))
}

func TestWhatAnUpsertDoesToTheState(t *testing.T) {
	cases := map[string]struct {
		before  store.RunState
		upsert  run.Upsert
		want    store.RunState
		ignored bool
	}{
		"a new process reopens a finished run":             {store.RunFinished, run.Upsert{Name: "r", Config: config("b")}, store.RunRunning, false},
		"a client that tells nothing of itself reopens it": {store.RunFailed, run.Upsert{Name: "r"}, store.RunRunning, false},
		"a delayed copy of the process's own changes nothing": {
			store.RunFinished, run.Upsert{Name: "r", Config: config("a"), Notes: ptr("new")}, store.RunFinished, true,
		},
		"one of several processes may go on after another's end": {
			store.RunFinished, run.Upsert{Name: "r", Config: config("a"), Writer: "w", Notes: ptr("new")}, store.RunRunning, false,
		},
		"the process of a run that was taken for dead comes back": {
			store.RunCrashed, run.Upsert{Name: "r", Config: config("a")}, store.RunRunning, false,
		},
		"an edit by id leaves the state":                {store.RunFinished, run.Upsert{Config: config("b")}, store.RunFinished, false},
		"a state that is given counts":                  {store.RunFinished, run.Upsert{State: ptr("failed")}, store.RunFailed, false},
		"a pending run begins":                          {store.RunPending, run.Upsert{Name: "r", Config: config("b")}, store.RunRunning, false},
		"a preempted run comes back":                    {store.RunPreempted, run.Upsert{Name: "r", Config: config("b")}, store.RunRunning, false},
		"a process that is being suspended may log on":  {store.RunPreempting, run.Upsert{Name: "r", Config: config("a")}, store.RunPreempting, false},
		"a run that is being suspended may begin again": {store.RunPreempting, run.Upsert{Name: "r", Config: config("b")}, store.RunRunning, false},
	}
	sc := newScene(t, sqlite(t))
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			project := strings.ReplaceAll(sentence, " ", "-")
			made := sc.put(t, run.Upsert{Project: project, Name: "r", Config: config("a"), Notes: ptr("old")})
			sc.setState(t, made.ID, c.before)
			c.upsert.Project = project
			if c.upsert.Name == "" {
				c.upsert.ID = made.ID
			}
			got := sc.put(t, c.upsert)
			if got.Live.State != c.want {
				t.Errorf("state %s, want %s", run.StateName(got.Live.State), run.StateName(c.want))
			}
			if ignored := string(got.Notes) == "old" && c.upsert.Notes != nil; ignored != c.ignored {
				t.Errorf("notes are %q", got.Notes)
			}
		})
	}
}

func TestACopyOfARequestThatComesLateChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		first := run.Upsert{Name: "r", Config: ptr(`{"lr":{"value":1}}`), Notes: ptr("first"), FromProcess: true}
		second := run.Upsert{Name: "r", Config: ptr(`{"lr":{"value":2}}`), Notes: ptr("second"), FromProcess: true}
		made := sc.put(t, first)
		sc.put(t, second)
		sc.setState(t, made.ID, store.RunFinished)
		for copied, after := range map[*run.Upsert]time.Duration{&first: time.Second, &second: time.Minute} {
			sc.now = made.CreatedAt.Time().Add(after)
			got := sc.put(t, *copied)
			if string(got.Notes) != "second" || string(got.Config) != *second.Config || got.Live.State != store.RunFinished {
				t.Errorf("%s after %s: notes %q, config %s, %s", *copied.Notes, after, got.Notes, got.Config, run.StateName(got.Live.State))
			}
		}
		// Another process of the run, a person, and who comes much later are no copies.
		other := first
		other.Writer = "w"
		for sentence, u := range map[string]run.Upsert{
			"another process": other,
			"a person":        {Name: "r", Config: first.Config, Notes: first.Notes},
		} {
			if got := sc.put(t, u); string(got.Notes) != "first" {
				t.Errorf("%s: notes %q", sentence, got.Notes)
			}
			sc.put(t, run.Upsert{ID: made.ID, Notes: ptr("second")})
		}
		sc.now = sc.now.Add(time.Hour)
		if got := sc.put(t, first); string(got.Notes) != "first" || got.Live.State != store.RunRunning {
			t.Errorf("an hour later: notes %q, %s", got.Notes, run.StateName(got.Live.State))
		}
	})
}

type histories struct {
	forks   []string
	deleted []store.ID
}

func (h *histories) Fork(_ context.Context, child, parent store.ID, step int64) (int64, error) {
	h.forks = append(h.forks, fmt.Sprintf("%v at %d", child != parent, step))
	if len(h.forks) == 1 {
		return 0, errors.New("cut off")
	}
	return step + 1, nil
}

func (h *histories) Delete(_ context.Context, run store.ID) error {
	h.deleted = append(h.deleted, run)
	return nil
}

func TestARunContinuesAnother(t *testing.T) {
	sc := newScene(t, sqlite(t))
	h := &histories{}
	sc.Histories = h
	parent := sc.put(t, run.Upsert{Name: "parent"})
	child := run.Upsert{Name: "child", Config: ptr(`{"_wandb":{"value":{"branch_point":{"run_id":"parent","step":7}}}}`)}
	if _, err := sc.Upsert(sc.ada, child); err == nil {
		t.Fatal("a failed fork is not told")
	}
	got := sc.put(t, child)
	if got.NextLine != 8 || got.ParentID != parent.ID || got.ParentStep != 7 || len(h.forks) != 2 {
		t.Errorf("%+v with %d lines after forks %q", got.Run, got.NextLine, h.forks)
	}
	child.Name, child.Config = "orphan", ptr(`{"_wandb":{"value":{"branch_point":{"run_id":"nobody","step":7}}}}`)
	if _, err := sc.Upsert(sc.ada, child); !access.IsNotFound(err) {
		t.Errorf("fork of a run that is not there: %v", err)
	}
}
