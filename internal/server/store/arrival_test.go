package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// arrived is an arrival so long ago.
func arrived(ago time.Duration) *store.Arrival {
	a := store.NewArrival(0)
	a.Note(time.Now().Add(-ago))
	return a
}

func TestWhatIsLateIsNotWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		user, err := account.New(s, account.Config{}).CreateUser(t.Context(), account.NewUser{Username: "ada", Email: "ada@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		entity, err := s.EntityByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		project, _, err := s.EnsureProject(t.Context(), store.Project{EntityID: entity.ID, Name: "p", UserID: user.ID, Access: store.AccessPrivate})
		if err != nil {
			t.Fatal(err)
		}
		key := store.RunKey{ProjectID: project.ID, Name: "r"}
		note := func(text string) func(store.RunBefore) (store.RunAfter, error) {
			return func(before store.RunBefore) (store.RunAfter, error) {
				after := store.RunAfter{Run: before.Run, State: store.RunRunning}
				after.Notes = store.Blob(text)
				return after, nil
			}
		}
		run, err := s.ChangeRun(store.WithArrival(t.Context(), arrived(time.Second)), key, "", note("new"))
		if err != nil {
			t.Fatal(err)
		}
		late := store.WithArrival(t.Context(), arrived(store.LateAfter+time.Second))
		if _, err := s.ChangeRun(late, key, "", note("old")); !errors.Is(err, store.ErrLate) || fault.Reason(err, "") != store.ReasonUnavailable {
			t.Errorf("a change that is late: %v", err)
		}
		if _, err := s.ChangeRun(store.Unhurried(late), key, "", note("newer")); err != nil {
			t.Errorf("a change that may take long: %v", err)
		}
		if record, err := s.RunRecordByID(t.Context(), run.ID); err != nil || string(record.Notes) != "newer" {
			t.Errorf("the notes are %q, %v", record.Notes, err)
		}

		line := func(text string, arrival *store.Arrival) *store.Append {
			return &store.Append{
				Permit: store.Permit{
					UserID: user.ID, EntityID: entity.ID, EntityKey: entity.NameKey, OwnerID: entity.UserID, ProjectID: project.ID,
					Project: project.Name, Access: project.Access, RunID: run.ID, Run: "r",
				},
				Arrival: arrival, Parts: []store.Part{{Stream: store.StreamConsole, N: 1, Hash: []byte(text), Body: []byte(text)}},
			}
		}
		group := []*store.Append{line("in time", arrived(time.Second)), line("late", arrived(time.Hour)), line("of no request", nil)}
		if err := s.Commit(t.Context(), group); err != nil {
			t.Fatal(err)
		}
		if group[0].Err != nil || !errors.Is(group[1].Err, store.ErrLate) || group[2].Err != nil {
			t.Errorf("told %v, %v and %v", group[0].Err, group[1].Err, group[2].Err)
		}
		snapshot, err := s.RunSnapshot(t.Context(), run.ID, store.StreamConsole)
		if err != nil || len(snapshot.Chunks) != 2 {
			t.Errorf("%d chunks, %v", len(snapshot.Chunks), err)
		}
	})
}

func TestArrivals(t *testing.T) {
	if (*store.Arrival)(nil).Late() || store.NewArrival(0).Late() {
		t.Error("what has not come is late")
	}
	a := store.NewArrival(time.Minute)
	a.Note(time.Now())
	a.Note(time.Now().Add(-time.Hour)) // a body that is read on after its end
	if a.Late() {
		t.Error("only the first note counts")
	}
	wall := store.NewArrival(time.Minute)
	wall.Note(time.Now().Add(-time.Hour).Round(0)) // as after the machine was suspended: the wall clock alone has moved on
	if !wall.Late() {
		t.Error("a machine that was suspended takes what is old for new")
	}
}
