package run_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// beganAt is the config of a process that began at a time.
func beganAt(at time.Time) *string {
	return ptr(fmt.Sprintf(`{"_wandb":{"value":{"e":{"x":{"startedAt":%q}}}}}`, at.UTC().Format(time.RFC3339Nano)))
}

// dying are artifacts whose program ends while it deletes them, once.
type dying struct {
	run.Artifacts
	died bool
}

func (d *dying) DeleteOfProject(ctx context.Context, project store.ID) error {
	if !d.died {
		d.died = true
		return errors.New("killed")
	}
	return d.Artifacts.DeleteOfProject(ctx, project)
}

func TestADeletedProjectIsRemovedAlsoByTheNextProgram(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		bucket, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir(), ExternalURL: "https://wandb.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = bucket.Close() })
		guard, clock := access.NewGuard(sc.store), func() time.Time { return sc.now }
		artifacts := artifact.New(sc.store, guard, bucket, artifact.Config{Logger: slog.New(slog.DiscardHandler), Now: clock})
		killed := &dying{Artifacts: artifacts}
		h := &histories{}
		replica := func() *run.Service {
			return run.New(sc.store, run.Config{
				Guard: guard, Bucket: sc.bucket, Artifacts: killed, Histories: h, Logger: slog.New(slog.DiscardHandler), Now: clock,
			})
		}
		sc.Service = replica()
		var runs []run.Upserted
		for i := range 3 {
			runs = append(runs, sc.put(t, run.Upsert{Project: "p", Name: fmt.Sprintf("r%d", i)}))
		}
		kept := sc.put(t, run.Upsert{Project: "kept", Name: "r0"})
		sc.upload(t, runs[0].ID, "a", "b/c")
		sc.upload(t, kept.ID, "a")
		place := runs[0].Place
		for _, p := range []access.Place{place, kept.Place} {
			logArtifact(t, sc.ada, artifacts, bucket, p)
			if _, err := sc.store.InsertSweep(t.Context(), store.Sweep{ProjectID: p.Project.ID, Name: "s"}); err != nil {
				t.Fatal(err)
			}
			if _, err := sc.store.CreateView(t.Context(), store.View{ProjectID: p.Project.ID, Name: "v"}); err != nil {
				t.Fatal(err)
			}
		}

		if err := sc.DeleteProject(sc.bob, place.Project.ID); !access.IsNotFound(err) {
			t.Errorf("a stranger deletes the project: %v", err)
		}
		if err := sc.DeleteProject(sc.ada, place.Project.ID); err != nil {
			t.Fatal(err)
		}
		if err := sc.DeleteProject(sc.ada, place.Project.ID); !access.IsNotFound(err) {
			t.Errorf("deleted twice: %v", err)
		}
		writeLate(t, sc, place.Project.ID)

		if err := sc.Watch(t.Context()); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the first pass ends with %v", err)
		}
		sc.Service = replica()
		sc.now = sc.now.Add(2 * time.Minute)
		sc.pass(t, time.Minute)
		slices.Sort(h.deleted) // both programs did it
		if deleted := slices.Compact(h.deleted); len(sc.bucket.objects) != 1 || len(deleted) != 3 {
			t.Errorf("%d files of runs are left, and the histories of %d runs deleted, want 1 and 3", len(sc.bucket.objects), len(deleted))
		}
		if graves, err := sc.store.ProjectGraves(t.Context(), 0, 10); err != nil || len(graves) != 1 {
			t.Errorf("while clients may still write, %d projects are remembered, %v", len(graves), err)
		}
		for range 4 { // contents are kept as long as a client may count on them
			sc.now = sc.now.Add(25 * time.Hour)
			if _, err := artifacts.Sweep(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			sc.pass(t, time.Minute)
		}
		if graves, err := sc.store.ProjectGraves(t.Context(), 0, 10); err != nil || len(graves) != 0 {
			t.Errorf("%d projects are remembered, %v", len(graves), err)
		}
		expectLeft(t, sc, bucket, kept)
	})
}

// writeLate makes things in a project whose request was let in before it was deleted.
func writeLate(t *testing.T, sc *scene, project store.ID) {
	t.Helper()
	ctx := t.Context()
	for what, write := range map[string]func() error{
		"a sweep": func() error {
			_, err := sc.store.InsertSweep(ctx, store.Sweep{ProjectID: project, Name: "late"})
			return err
		},
		"a view": func() error {
			_, err := sc.store.CreateView(ctx, store.View{ProjectID: project, Name: "late"})
			return err
		},
		"a collection": func() error {
			_, err := sc.store.EnsureCollection(ctx, store.ArtifactCollection{ProjectID: project, Name: "late", TypeName: "late"})
			return err
		},
		"contents": func() error {
			_, err := sc.store.EnsureContents(ctx, store.Artifact{ProjectID: project}, []store.Text{"0123456789abcdef"}, 1)
			return err
		},
		"a run": func() error {
			_, err := sc.store.ChangeRun(ctx, store.RunKey{ProjectID: project, Name: "late"}, "", func(store.RunBefore) (store.RunAfter, error) {
				return store.RunAfter{}, nil
			})
			return err
		},
		"another name": func() error {
			return sc.store.UpdateProject(ctx, store.Project{ID: project, Name: "late", Access: store.AccessWrite})
		},
	} {
		if err := write(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s made late: %v, want that there is no project", what, err)
		}
	}
}

// expectLeft looks whether the other project has everything that it had, and the bucket nothing else.
func expectLeft(t *testing.T, sc *scene, bucket *blob.Bucket, kept run.Upserted) {
	t.Helper()
	var objects []string
	for object, err := range bucket.List(t.Context(), "artifacts/") {
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object.Key)
	}
	if len(objects) != 3 { // its file, and its manifest as it was sent and as it was committed
		t.Errorf("the bucket holds %q", objects)
	}
	views, err := sc.store.Views(t.Context(), kept.Place.Project.ID, store.ViewFilter{Limit: 9})
	if sweeps, failed := sc.store.CountSweeps(t.Context(), kept.Place.Project.ID); err != nil || failed != nil || len(views) != 1 || sweeps != 1 {
		t.Errorf("the other project has %d views and %d sweeps, %v, %v", len(views), sweeps, err, failed)
	}
	if _, err := sc.ByName(sc.ada, kept.Place, "r0"); err != nil {
		t.Errorf("the run of the other project: %v", err)
	}
	if remains, err := sc.store.RunRemains(t.Context(), 0, 9); err != nil || len(remains) != 0 {
		t.Errorf("%d runs have left something, %v", len(remains), err)
	}
}

// logArtifact logs a version of one file.
func logArtifact(t *testing.T, ctx context.Context, service *artifact.Service, bucket *blob.Bucket, place access.Place) {
	t.Helper()
	const digest, text = "XrY7u+Ae7tCTyyK7j1rNww==", "hello world"
	v, err := service.Create(ctx, place, artifact.Create{Type: "dataset", Collection: "data", Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	manifest := `{"version":1,"contents":{"f":{"digest":"` + digest + `","size":11}}}`
	m, err := service.CreateManifest(ctx, v.Artifact.ID, artifact.NewManifest{Kind: store.ManifestFull, Name: "m.json", Digest: "m"})
	if err != nil {
		t.Fatal(err)
	}
	uploads, err := service.Uploads(ctx, []artifact.FileSpec{{ArtifactID: v.Artifact.ID, Name: "f", MD5: digest}})
	if err != nil {
		t.Fatal(err)
	}
	for key, body := range map[string]string{store.ManifestKey(v.Artifact, m.ID): manifest, uploads[0].StoragePath: text} {
		if _, err := bucket.Put(ctx, key, strings.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := service.Commit(ctx, v.Artifact.ID); err != nil {
		t.Fatal(err)
	}
}

func TestAProcessDoesNotOutliveItsProject(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		before, after := sc.now.Add(-time.Hour), sc.now.Add(time.Hour)
		made := sc.put(t, run.Upsert{Project: "p", Name: "r", Config: beganAt(before)})
		sc.put(t, run.Upsert{Project: "p", Name: "single", Config: beganAt(before)})
		if err := sc.DeleteProject(sc.ada, made.Place.Project.ID); err != nil {
			t.Fatal(err)
		}
		refused := func(when, name string, config *string) {
			t.Helper()
			_, err := sc.Upsert(sc.ada, run.Upsert{Project: "p", Name: name, Config: config})
			if fault.Reason(err, "") != run.ReasonDeleted {
				t.Errorf("%s: %v, want that the run was deleted", when, err)
			}
		}
		refused("the process that made the run", "r", beganAt(before))
		refused("a change that names no process", "r", nil)
		if _, err := sc.Guard.Project(sc.ada, "", "p", access.Read); !access.IsNotFound(err) {
			t.Errorf("the refused process has made the project again: %v", err)
		}
		again := sc.put(t, run.Upsert{Project: "p", Name: "r", Config: beganAt(after)})
		if !again.Inserted || again.Place.Project.ID == made.Place.Project.ID {
			t.Errorf("a process that began later got %+v", again)
		}
		refused("another process of before, when the name is in use again", "single", beganAt(before))
		sc.put(t, run.Upsert{Project: "p", Name: "never seen", Config: beganAt(before)})
		sc.pass(t, time.Minute)
		refused("the same when the old runs are removed", "single", beganAt(before))
	})
}

func TestWhoMayDeleteAProject(t *testing.T) {
	sc := newScene(t, sqlite(t))
	accounts := account.New(sc.store, account.Config{})
	team, err := accounts.CreateTeam(t.Context(), account.NewTeam{Name: "ml"})
	if err != nil {
		t.Fatal(err)
	}
	bob, _ := account.FromContext(sc.bob)
	ada, _ := account.FromContext(sc.ada)
	if err := accounts.SetMember(t.Context(), team.ID, ada, account.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	made := sc.put(t, run.Upsert{Entity: "ml", Project: "p", Name: "r"})
	for role, want := range map[account.Role]string{account.RoleViewer: access.ReasonForbidden, account.RoleMember: access.ReasonForbidden} {
		if err := accounts.SetMember(t.Context(), team.ID, bob, role); err != nil {
			t.Fatal(err)
		}
		if err := sc.DeleteProject(sc.bob, made.Place.Project.ID); fault.Reason(err, "") != want {
			t.Errorf("as %s: %v, want %s", role, err, want)
		}
	}
	if err := accounts.DeleteTeam(t.Context(), team, false); fault.Reason(err, "") != account.ReasonInUse {
		t.Errorf("the team is deleted while it has a project: %v", err)
	}
	if err := sc.DeleteProject(sc.ada, made.Place.Project.ID); err != nil {
		t.Fatal(err)
	}
	if err := accounts.DeleteTeam(t.Context(), team, false); err != nil {
		t.Errorf("the team without projects: %v", err)
	}
}
