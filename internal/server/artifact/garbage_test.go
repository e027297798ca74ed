package artifact_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

func TestADeletedVersionFreesWhatNoOtherHolds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "only", "b": "shared"}))
		w.log(t, w.ada, w.place, dataset("data", map[string]string{"b": "shared", "c": "new"}))
		if err := w.service.Delete(w.ada, first.ID, true); err != nil {
			t.Fatal(err)
		}
		if err := w.service.Delete(w.ada, first.ID, true); !access.IsNotFound(err) {
			t.Errorf("delete again: got %v, want not found", err)
		}
		if _, err := w.other.ByID(w.ada, first.ID); !access.IsNotFound(err) {
			t.Errorf("it is found: %v", err)
		}
		w.sweep(t, true)
		if n := w.bucket.contents(); n != 3 {
			t.Errorf("within the time of grace %d objects are left, want 3", n)
		}
		w.later(artifact.DefaultGrace + time.Minute)
		w.sweep(t, true)
		if n := w.bucket.contents(); n != 2 {
			t.Errorf("%d objects are left, want those of the version that is left", n)
		}
		if _, err := w.store.Artifact(t.Context(), first.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("its row: %v", err)
		}
		again := dataset("data", map[string]string{"a": "only"})
		if sent := w.upload(t, w.ada, w.begin(t, w.ada, w.place, dataset("other", nil)).Artifact.ID, again.files); sent != 1 {
			t.Errorf("bytes that were deleted are not asked for again")
		}
		if a := w.log(t, w.ada, w.place, again); a.VersionIndex != 2 {
			t.Errorf("the next version is %d: numbers of deleted versions are not given again", a.VersionIndex)
		}
	})
}

func TestBytesThatAClientCountsOnAreKept(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "bytes"}))
		w.later(artifact.DefaultGrace + time.Hour)
		v := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"a": "bytes", "b": "more"})) // the client does not upload a
		if err := w.service.Delete(w.ada, first.ID, true); err != nil {
			t.Fatal(err)
		}
		w.sweep(t, true)
		if a, err := w.service.Commit(w.ada, v.Artifact.ID); err != nil || a.VersionIndex != 1 {
			t.Errorf("version %d, %v", a.VersionIndex, err)
		}
	})
}

// TestDeletingBesideCommitsLosesNothing: whatever the order, a version that was committed has all of its objects.
func TestDeletingBesideCommitsLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 8 {
			w.later(artifact.DefaultGrace + time.Hour)
			old := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "shared", "b": "old"}))
			w.later(artifact.DefaultGrace + time.Hour)
			if err := w.service.Delete(w.ada, old.ID, true); err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			group.Go(func() {
				if _, err := w.other.Sweep(t.Context(), true); err != nil {
					t.Error(err)
				}
			})
			fresh := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"a": "shared", "c": "fresh"}))
			a, err := w.service.Commit(w.ada, fresh.Artifact.ID)
			group.Wait()
			if fault.Reason(err, "") == artifact.ReasonIncomplete {
				continue // refused, and to be uploaded again: nothing is lost
			}
			if err != nil {
				t.Fatal(err)
			}
			w.sweepAs(t, w.other)
			v, err := w.service.ByID(w.ada, a.ID)
			if err != nil {
				t.Fatal(err)
			}
			page, err := w.service.Files(w.ada, v, artifact.FileQuery{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page.Nodes {
				if _, err := w.bucket.Stat(t.Context(), f.Content.Key()); err != nil {
					t.Errorf("%s: %v", f.Path, err)
				}
			}
			if err := w.service.Delete(w.ada, a.ID, true); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func (w *world) sweepAs(t *testing.T, service *artifact.Service) {
	t.Helper()
	if _, err := service.Sweep(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func TestOneReplicaCleansUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.sweep(t, false)
		if worked, err := w.other.Sweep(t.Context(), false); err != nil || worked {
			t.Errorf("the other replica: %v, %v", worked, err)
		}
		w.later(10 * time.Minute) // the first has died
		if worked, err := w.other.Sweep(t.Context(), false); err != nil || !worked {
			t.Errorf("the other replica later: %v, %v", worked, err)
		}
	})
}

func TestAVersionLivesAsLongAsItWasGiven(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		seconds := int64(3600)
		short := dataset("data", map[string]string{"a": "1"})
		short.TTLSeconds = &seconds
		first := w.log(t, w.ada, w.place, short)
		second := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "2"}))
		linked := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "3"}))
		for _, a := range []store.Artifact{second, linked} {
			if _, err := w.service.Update(w.ada, a.ID, artifact.Change{TTLSeconds: &seconds}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.service.Link(w.ada, artifact.Link{Artifact: linked.ID, Project: project, Portfolio: "kept"}); err != nil {
			t.Fatal(err)
		}
		forever := store.TTLNone
		if _, err := w.service.Update(w.ada, second.ID, artifact.Change{TTLSeconds: &forever}); err != nil {
			t.Fatal(err)
		}
		w.sweep(t, false)
		if _, err := w.service.ByID(w.ada, first.ID); err != nil {
			t.Errorf("before its time: %v", err)
		}
		w.later(2 * time.Hour)
		w.sweep(t, false)
		if _, err := w.service.ByID(w.ada, first.ID); !access.IsNotFound(err) {
			t.Errorf("after its time: got %v, want not found", err)
		}
		for what, a := range map[string]store.Artifact{"one that lives for ever again": second, "one in a portfolio": linked} {
			if _, err := w.service.ByID(w.ada, a.ID); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestWhatIsNeverCommittedGoes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		v := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		w.later(artifact.DefaultAbandoned / 2)
		w.sweep(t, true)
		if _, err := w.service.ByID(w.ada, v.Artifact.ID); err != nil {
			t.Errorf("after half of its time: %v", err)
		}
		w.later(artifact.DefaultAbandoned)
		w.sweep(t, true)
		if _, err := w.service.ByID(w.ada, v.Artifact.ID); !access.IsNotFound(err) {
			t.Errorf("after its time: got %v, want not found", err)
		}
		w.sweep(t, true)
		if len(w.bucket.objects) != 0 {
			t.Errorf("%d objects are left", len(w.bucket.objects))
		}
	})
}

func TestARunTakesWhatItMadeWithIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mine := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		w.run(t, w.ada, project, "second")
		again := dataset("data", map[string]string{"a": "1"})
		again.RunName = "second"
		w.log(t, w.ada, w.place, again)
		second, err := w.runs.ByName(w.ada, w.place, "second")
		if err != nil {
			t.Fatal(err)
		}
		page, err := w.service.OfRun(w.ada, w.place, second.ID, store.EdgeOutput, artifact.Query{})
		if err != nil || page.Total != 1 || len(page.Nodes) != 1 || page.Nodes[0].Artifact.ID != mine.ID {
			t.Errorf("the second run made %+v, %v", page, err)
		}
		if err := w.service.DeleteOf(w.ada, w.place, second.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.ByID(w.ada, mine.ID); err != nil {
			t.Errorf("the first run's version went with the second run: %v", err)
		}
		if err := w.service.DeleteOf(w.ada, w.place, mine.RunID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.ByID(w.ada, mine.ID); !access.IsNotFound(err) {
			t.Errorf("got %v, want not found", err)
		}
	})
}
