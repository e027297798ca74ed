package store_test

import (
	"bytes"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func insert(t *testing.T, s *store.Store, rows ...any) {
	t.Helper()
	if err := s.Insert(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
}

func TestAQuotaIsReadBesideWhatIsStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		create(t, s, store.NewUser{User: newUser("ada")})
		create(t, s, store.NewUser{User: newUser("bob")})
		ada, err := s.EntityByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		read := func() store.EntityStorage {
			t.Helper()
			got, err := s.EntityStorage(t.Context(), ada.ID)
			if err != nil || got.EntityID != ada.ID || got.Name != "ada" {
				t.Fatalf("read %+v, %v", got, err)
			}
			return got
		}
		if got := read(); got.Quota.Valid || got.Used() != 0 || got.MeasuredAt != 0 {
			t.Errorf("at first: %+v", got)
		}
		if rows, err := s.EntitiesStorage(t.Context(), 0, 10); err != nil || len(rows) != 0 {
			t.Errorf("entities without projects are listed: %+v, %v", rows, err)
		}
		for _, quota := range []int64{5 << 40, 0, 1} { // 0: no limit, which is not the same as no quota of its own
			if err := s.SetQuota(t.Context(), ada.ID, quota, store.At(now)); err != nil {
				t.Fatal(err)
			}
			if got := read(); !got.Quota.Valid || got.Quota.Int64 != quota {
				t.Errorf("set to %d: %+v", quota, got)
			}
		}
		for _, files := range []int64{1, 9 << 50} { // a second measurement takes the place of the first
			err := s.PutUsage(t.Context(), []store.EntityUsage{{EntityID: ada.ID, Files: files, Artifacts: 20, History: 300, MeasuredAt: store.At(now)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := read(); got.Used() != files+320 || got.MeasuredAt != store.At(now) {
				t.Errorf("measured %d: %+v", files, got)
			}
		}
		rows, err := s.EntitiesStorage(t.Context(), 0, 10)
		if err != nil || len(rows) != 1 || rows[0] != read() {
			t.Errorf("listed %+v, %v", rows, err)
		}
		if rows, err := s.EntitiesStorage(t.Context(), ada.ID, 10); err != nil || len(rows) != 0 {
			t.Errorf("behind the last one: %+v, %v", rows, err)
		}
		for range 2 {
			if err := s.UnsetQuota(t.Context(), ada.ID); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(); got.Quota.Valid || got.History != 300 {
			t.Errorf("unset: %+v", got)
		}
	})
}

func TestBytesOfRunsAndArtifactsAreCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		create(t, s, store.NewUser{User: newUser("ada")})
		entity, err := s.EntityByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		var projects []store.ID
		for _, name := range []store.Text{"p", "gone"} {
			p, _, err := s.EnsureProject(t.Context(), store.Project{EntityID: entity.ID, Name: name, Access: store.AccessPrivate})
			if err != nil {
				t.Fatal(err)
			}
			projects = append(projects, p.ID)
		}
		if err := s.DeleteProject(t.Context(), projects[1], now); err != nil {
			t.Fatal(err)
		}
		p := projects[0]
		if ids, err := s.ProjectIDs(t.Context(), entity.ID, 0, 10); err != nil || len(ids) != 1 || ids[0] != p {
			t.Errorf("projects %v, %v", ids, err)
		}
		segment := func(run, object, of store.ID, size int64) *store.Segment {
			return &store.Segment{RunID: run, ObjectID: object, ObjectRun: of, Size: size, Dead: store.Blob{}, Footer: store.Blob("not counted twice")}
		}
		insert(t, s,
			&store.RunLive{RunID: 1, ProjectID: p, Rev: 7}, &store.RunLive{RunID: 2, ProjectID: p, Rev: 1}, &store.RunLive{RunID: 3, ProjectID: projects[1], Rev: 1},
			&store.RunFile{RunID: 1, ID: 1, Name: "a", Size: 5 << 40, MD5: []byte{}}, &store.RunFile{RunID: 1, ID: 2, Name: "b", Size: 1, MD5: []byte{}},
			&store.RunFile{RunID: 3, ID: 3, Name: "c", Size: 1 << 20, MD5: []byte{}},
			&store.Chunk{RunID: 1, Seq: 1, Hash: []byte{}, Stats: make([]byte, 10), Body: bytes.Repeat([]byte("x"), 200_000)},
			&store.Chunk{RunID: 2, Seq: 1, Hash: []byte{}, Stats: []byte{}, Body: []byte("abc")},
			segment(1, 11, 1, 1000), segment(1, 12, 99, 100), // the run that wrote the second one is gone
			segment(2, 11, 1, 1000), // a fork of the first run
			&store.Artifact{ID: 21, ProjectID: p, State: store.ArtifactCommitted, Size: 40, Description: store.Blob{}, Metadata: store.Blob{}, Wishes: store.Blob{}},
			&store.Artifact{ID: 22, ProjectID: p, State: store.ArtifactPending, Size: 41, Description: store.Blob{}, Metadata: store.Blob{}, Wishes: store.Blob{}},
			&store.Artifact{ID: 23, ProjectID: p, State: store.ArtifactCommitted, Size: 42, Description: store.Blob{}, Metadata: store.Blob{}, Wishes: store.Blob{}},
		)
		for _, c := range []struct {
			runs           []store.ID
			files, history int64
		}{{nil, 0, 0}, {[]store.ID{1}, 5<<40 + 1, 200_010 + 1100}, {[]store.ID{2}, 0, 3}, {[]store.ID{1, 2, 77}, 5<<40 + 1, 200_013 + 1100}} {
			files, history, err := s.RunBytes(t.Context(), c.runs)
			if err != nil || files != c.files || history != c.history {
				t.Errorf("runs %v: %d and %d, %v; want %d and %d", c.runs, files, history, err, c.files, c.history)
			}
		}
		first, err := s.RunRevs(t.Context(), p, 0, 1)
		if err != nil || len(first) != 1 || first[0].RunID != 1 || first[0].Rev != 7 {
			t.Errorf("the first run %+v, %v", first, err)
		}
		if rest, err := s.RunRevs(t.Context(), p, 1, 10); err != nil || len(rest) != 1 || rest[0].RunID != 2 {
			t.Errorf("the others %+v, %v", rest, err)
		}
		versions, err := s.ArtifactSizes(t.Context(), p, 0, 10)
		if err != nil || len(versions) != 2 || versions[0].Size+versions[1].Size != 82 {
			t.Errorf("versions %+v, %v", versions, err)
		}
		if versions, err := s.ArtifactSizes(t.Context(), p, 21, 1); err != nil || len(versions) != 1 || versions[0].ID != 23 {
			t.Errorf("the next version %+v, %v", versions, err)
		}
	})
}
