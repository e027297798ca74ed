package artifact_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestACommittedVersionIsFoundByEveryNameOnEveryReplica(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := dataset("data", map[string]string{"a": "1", "b/c": "22"})
		d.refs = map[string]wire{"ref": {"digest": "etag", "ref": "s3://bucket/key", "size": 7}}
		d.Aliases, d.Tags, d.Metadata = []string{"best", "best", "latest"}, []string{"red"}, `{"n":9007199254740993}`
		v := w.begin(t, w.ada, w.place, d)
		if _, err := w.other.MemberByName(w.ada, w.place, "data"); !access.IsNotFound(err) {
			t.Errorf("before its commit: got %v, want not found", err)
		}
		a, err := w.service.Commit(w.ada, v.Artifact.ID)
		if err != nil {
			t.Fatal(err)
		}
		if a.VersionIndex != 0 || a.FileCount != 3 || a.Size != 10 {
			t.Errorf("version %d with %d files of %d bytes, want 0, 3, 10", a.VersionIndex, a.FileCount, a.Size)
		}
		for _, name := range []string{"data", "data:latest", "data:best", "data:v0", "data:" + d.Digest} {
			m, err := w.other.MemberByName(w.ada, w.place, name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if m.Version.Artifact.ID != a.ID || len(m.Aliases()) != 2 || len(m.Version.Tags) != 1 || string(m.Version.Metadata) != d.Metadata {
				t.Errorf("%s: got %d with aliases %v, tags %v, metadata %s", name, m.Version.Artifact.ID, m.Aliases(), m.Version.Tags, m.Version.Metadata)
			}
		}
		for _, name := range []string{"data:v1", "data:v00", "data:other", "nothing", "data:" + strings.Repeat("0", 32)} {
			if _, err := w.other.MemberByName(w.ada, w.place, name); !access.IsNotFound(err) {
				t.Errorf("%s: got %v, want not found", name, err)
			}
		}
		again, err := w.other.Commit(w.ada, a.ID)
		if err != nil || again.VersionIndex != 0 {
			t.Errorf("a second commit: version %d, %v", again.VersionIndex, err)
		}
	})
}

func TestTheSameDigestIsTheSameVersion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		second := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "2"}))
		if second.VersionIndex != 1 {
			t.Fatalf("the second version is %d", second.VersionIndex)
		}
		d := dataset("data", map[string]string{"a": "1"})
		d.Aliases, d.Tags = []string{"again"}, []string{"blue"}
		v, err := w.service.Create(w.ada, w.place, d.Create)
		if err != nil || v.Artifact.ID != first.ID || v.State != store.ArtifactCommitted {
			t.Fatalf("got %d in state %d (%v), want the committed %d", v.Artifact.ID, v.State, err, first.ID)
		}
		for _, name := range []string{"data:latest", "data:again"} {
			if m, err := w.service.MemberByName(w.ada, w.place, name); err != nil || m.VersionIndex != 0 || len(m.Version.Tags) != 1 {
				t.Errorf("%s: %v, %v", name, m, err)
			}
		}
		d.Dedupe = false
		if v, err := w.service.Create(w.ada, w.place, d.Create); err != nil || v.State != store.ArtifactPending {
			t.Errorf("without leave to reuse: %v, %v", v, err)
		}
		d.Type = "model"
		if _, err := w.service.Create(w.ada, w.place, d.Create); fault.Reason(err, "") != artifact.ReasonConflict {
			t.Errorf("with another type: got %v", err)
		}
	})
}

func TestARepeatedRequestMakesNoSecondVersion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := dataset("data", map[string]string{"a": "1"})
		d.ClientID, d.SequenceClientID = "client-1", "sequence-1"
		first := w.begin(t, w.ada, w.place, d)
		second, err := w.other.Create(w.ada, w.place, d.Create)
		if err != nil || second.Artifact.ID != first.Artifact.ID {
			t.Fatalf("got %v (%v), want %d", second, err, first.Artifact.ID)
		}
		if id, err := w.other.ByClientID(w.ada, "client-1"); err != nil || id != first.Artifact.ID {
			t.Errorf("client id: got %d, %v", id, err)
		}
		if c, err := w.other.Client(w.ada, "sequence-1"); err != nil || c.HolderID != first.CollectionID || c.Kind != store.ClientSequence {
			t.Errorf("sequence's client id: got %+v, %v", c, err)
		}
	})
}

func TestARequestThatComesAgainLateMovesNoAlias(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := dataset("data", map[string]string{"a": "1"})
		first.ClientID, first.Aliases = "client-1", []string{"best"}
		w.log(t, w.ada, w.place, first)
		same := first // the same files, and so the same version
		same.ClientID, same.Aliases = "client-2", []string{"again"}
		w.log(t, w.ada, w.place, same)
		second := dataset("data", map[string]string{"a": "2"})
		second.ClientID, second.Aliases = "client-3", []string{"best", "again"}
		w.log(t, w.ada, w.place, second)
		for _, late := range []draft{first, same} {
			if v, err := w.other.Create(w.ada, w.place, late.Create); err != nil || v.VersionIndex != 0 {
				t.Errorf("got %v, %v", v, err)
			}
		}
		for _, name := range []string{"data:latest", "data:best", "data:again"} {
			if m, err := w.service.MemberByName(w.ada, w.place, name); err != nil || m.VersionIndex != 1 {
				t.Errorf("%s: %v, %v", name, m, err)
			}
		}
		wish := first // the same object, logged with another alias
		wish.Aliases = []string{"new"}
		w.log(t, w.ada, w.place, wish)
		if m, err := w.service.MemberByName(w.ada, w.place, "data:new"); err != nil || m.VersionIndex != 0 {
			t.Errorf("with another alias: %v, %v", m, err)
		}
	})
}

func TestCommitsAtOnceGetOneVersionEach(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const n = 20
		var pending []store.ID
		for i := range n {
			// All hold one file in common.
			v := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"same": "same", "own": fmt.Sprint(i)}))
			pending = append(pending, v.Artifact.ID)
		}
		versions, errs := make([]int64, n), make([]error, n)
		var group sync.WaitGroup
		for i, id := range pending {
			group.Go(func() {
				service := []*artifact.Service{w.service, w.other}[i%2]
				var a store.Artifact
				a, errs[i] = service.Commit(w.ada, id)
				versions[i] = a.VersionIndex
			})
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		slices.Sort(versions)
		for i, v := range versions {
			if v != int64(i) {
				t.Fatalf("versions are %v", versions)
			}
		}
		if m, err := w.service.MemberByName(w.ada, w.place, "data:latest"); err != nil || m.VersionIndex != n-1 {
			t.Errorf("latest is %v, %v", m, err)
		}
	})
}

func TestACommitIsRefusedWhereAnObjectIsNotWhatTheManifestSays(t *testing.T) {
	many := map[string]string{}
	for i := range 200 { // enough that their folder is listed
		many[fmt.Sprintf("dir/%03d", i)] = fmt.Sprint("content ", i)
	}
	for sentence, damage := range map[string]func(w *world, key string){
		"missing":          func(w *world, key string) { _ = w.bucket.Delete(t.Context(), key) },
		"of another size":  func(w *world, key string) { w.bucket.put(key, []byte("longer than it was")) },
		"of the same size": func(w *world, key string) { w.bucket.put(key, []byte("CONTENT 77")) },
	} {
		for name, files := range map[string]map[string]string{"few": {"dir/077": "content 77"}, "many": many} {
			t.Run(sentence+" among "+name, func(t *testing.T) {
				w := newWorld(t, storetest.SQLite(t))
				v := w.begin(t, w.ada, w.place, dataset("data", files))
				uploads, err := w.service.Uploads(w.ada, []artifact.FileSpec{{ArtifactID: v.Artifact.ID, Name: "x", MD5: digestOf("content 77")}})
				if err != nil {
					t.Fatal(err)
				}
				damage(w, uploads[0].StoragePath)
				_, err = w.service.Commit(w.ada, v.Artifact.ID)
				if fault.Reason(err, "") != artifact.ReasonIncomplete || !strings.Contains(err.Error(), "dir/077") {
					t.Fatalf("got %v, want a refusal that names the path", err)
				}
				if _, err := w.service.MemberByName(w.ada, w.place, "data"); !access.IsNotFound(err) {
					t.Errorf("it can be found: %v", err)
				}
				if sent := w.upload(t, w.ada, v.Artifact.ID, files); sent != 1 {
					t.Errorf("%d files are uploaded again, want one", sent)
				}
				if a, err := w.service.Commit(w.ada, v.Artifact.ID); err != nil || a.VersionIndex != 0 {
					t.Errorf("after the upload: version %d, %v", a.VersionIndex, err)
				}
			})
		}
	}
}

func TestACommitIsRefusedForABadManifest(t *testing.T) {
	good := map[string]string{"a": "1"}
	for sentence, c := range map[string]struct {
		text string
		want string
	}{
		"that is no JSON":                 {`{"contents":`, "malformed"},
		"without contents":                {`{"version":1}`, "no contents"},
		"that leads out of its folder":    {string(manifestOf(nil, map[string]wire{"x/../../y": {"digest": digestOf("1"), "size": 1}})), `x/../../y`},
		"with an absolute path":           {string(manifestOf(nil, map[string]wire{"/etc/passwd": {"digest": digestOf("1"), "size": 1}})), `/etc/passwd`},
		"whose digest is no MD5":          {string(manifestOf(nil, map[string]wire{"x": {"digest": "abc", "size": 1}})), `"x"`},
		"with a negative size":            {string(manifestOf(nil, map[string]wire{"x": {"digest": digestOf("1"), "size": -1}})), `"x"`},
		"with a fraction of a byte":       {string(manifestOf(nil, map[string]wire{"x": {"digest": digestOf("1"), "size": 1.5}})), `"x"`},
		"with an entry that is a list":    {`{"contents":{"x":[]}}`, `"x"`},
		"with a file nobody uploaded":     {string(manifestOf(map[string]string{"x": "other"}, nil)), `"x"`},
		"with an entry of many megabytes": {`{"contents":{"x":{"digest":"` + strings.Repeat("A", 5<<20) + `"}}}`, "too long"},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, storetest.SQLite(t))
			v := w.begin(t, w.ada, w.place, dataset("data", good))
			manifests, err := w.store.Manifests(t.Context(), v.Artifact.ID)
			if err != nil {
				t.Fatal(err)
			}
			w.bucket.put(store.ManifestKey(v.Artifact, manifests[0].ID), []byte(c.text))
			_, err = w.service.Commit(w.ada, v.Artifact.ID)
			if fault.Reason(err, "") == "" || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v, want a refusal with %q", err, c.want)
			}
		})
	}
}

func TestAManifestThatIsOverwrittenLaterChangesNothing(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	v := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
	if _, err := w.service.Commit(w.ada, v.Artifact.ID); err != nil {
		t.Fatal(err)
	}
	manifests, err := w.store.Manifests(t.Context(), v.Artifact.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.bucket.put(store.ManifestKey(v.Artifact, manifests[0].ID), []byte(`{"contents":{"evil":{}}}`)) // by the URL that the client still has
	committed, err := w.service.ByID(w.ada, v.Artifact.ID)
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.service.Files(w.ada, committed, artifact.FileQuery{})
	if err != nil || len(page.Nodes) != 1 || page.Nodes[0].Path != "a" {
		t.Errorf("files are %v, %v", page, err)
	}
	if _, err := w.service.CreateManifest(w.ada, v.Artifact.ID, artifact.NewManifest{Name: "m"}); fault.Reason(err, "") != artifact.ReasonConflict {
		t.Errorf("a manifest of a committed version: got %v", err)
	}
	if _, err := w.service.Uploads(w.ada, []artifact.FileSpec{{ArtifactID: v.Artifact.ID, Name: "b", MD5: digestOf("2")}}); fault.Reason(err, "") != artifact.ReasonConflict {
		t.Errorf("a file of a committed version: got %v", err)
	}
}

func (w *world) manifest(t *testing.T, id store.ID) map[string]json.RawMessage {
	t.Helper()
	a, err := w.store.Artifact(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := w.bucket.Get(t.Context(), store.ManifestKey(a, a.ManifestID), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Version  int                        `json:"version"`
		Policy   string                     `json:"storagePolicy"`
		Contents map[string]json.RawMessage `json:"contents"`
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Version != 1 || m.Policy != "wandb-storage-policy-v1" {
		t.Fatalf("the manifest is %s (%v)", text, err)
	}
	return m.Contents
}

func TestAnIncrementalVersionChangesItsBase(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		base := dataset("data", map[string]string{"a": "1", "b": "2"})
		base.refs = map[string]wire{"r": {"digest": "e", "ref": "gs://x", "size": 1, "extra": map[string]any{"big": json.Number("9007199254740993"), "f": json.Number("1.0")}}}
		first := w.log(t, w.ada, w.place, base)
		change := dataset("data", map[string]string{"b": "22", "c<é": "3"})
		change.kind, change.base, change.Digest = store.ManifestIncremental, first.ID, "unknown yet"
		second := w.log(t, w.ada, w.place, change)
		contents := w.manifest(t, second.ID)
		if got, want := slices.Sorted(maps.Keys(contents)), []string{"a", "b", "c<é", "r"}; !slices.Equal(got, want) {
			t.Errorf("it holds %q, want %q", got, want)
		}
		if raw := string(contents["r"]); !strings.Contains(raw, "9007199254740993") || !strings.Contains(raw, `"f":1.0`) {
			t.Errorf("an entry was changed: %s", raw)
		}
		want := "wandb-artifact-manifest-v1\n"
		for _, line := range []string{"a:" + digestOf("1"), "b:" + digestOf("22"), "c<é:" + digestOf("3"), "r:e"} {
			want += line + "\n"
		}
		if string(second.Digest) != hexOf(want) || second.FileCount != 4 || second.Size != 5 {
			t.Errorf("digest %s, %d files, %d bytes", second.Digest, second.FileCount, second.Size)
		}
	})
}

func TestProcessesWriteOneVersionTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []store.ID
		for i := range 3 {
			part := dataset("data", map[string]string{fmt.Sprint("part", i): fmt.Sprint(i)})
			part.Distributed, part.kind, part.Aliases = "group", store.ManifestPatch, []string{fmt.Sprint("by", i)}
			ids = append(ids, w.begin(t, w.ada, w.place, part).Artifact.ID)
		}
		if ids[0] != ids[1] || ids[1] != ids[2] {
			t.Fatalf("they write %v", ids)
		}
		a, err := w.other.Commit(w.ada, ids[2])
		if err != nil || a.FileCount != 3 {
			t.Fatalf("%d files, %v", a.FileCount, err)
		}
		for i := range 3 {
			if _, err := w.service.MemberByName(w.ada, w.place, fmt.Sprint("data:by", i)); err != nil {
				t.Errorf("the alias of process %d: %v", i, err)
			}
		}
		next := dataset("data", map[string]string{"n": "n"})
		next.Distributed, next.kind = "group", store.ManifestPatch
		if b := w.log(t, w.ada, w.place, next); b.ID == a.ID || b.VersionIndex != 1 {
			t.Errorf("the next version of the group is %d, version %d", b.ID, b.VersionIndex)
		}
	})
}

func TestAFileInPartsIsCompletedOnce(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	v := w.begin(t, w.ada, w.place, dataset("data", nil))
	spec := artifact.FileSpec{ArtifactID: v.Artifact.ID, Name: "big", MD5: digestOf("onetwo"), Parts: []artifact.PartSpec{
		{Number: 1, HexMD5: hexOf("one")}, {Number: 2, HexMD5: hexOf("two")},
	}}
	uploads, err := w.service.Uploads(w.ada, []artifact.FileSpec{spec})
	if err != nil || len(uploads[0].Parts) != 2 || uploads[0].URL == "" || uploads[0].UploadID == "" {
		t.Fatalf("got %+v, %v", uploads, err)
	}
	u := uploads[0]
	w.bucket.uploads[u.StoragePath] = map[int][]byte{1: []byte("one"), 2: []byte("two")}
	if urls, err := w.service.SignParts(w.ada, v.Artifact.ID, u.StoragePath, u.UploadID, spec.Parts[1:]); err != nil || len(urls) != 1 {
		t.Errorf("renewed URLs: %v, %v", urls, err)
	}
	for range 2 {
		digest, err := w.service.CompleteUpload(w.ada, v.Artifact.ID, u.StoragePath, u.UploadID, spec.Parts)
		if err != nil || digest != spec.MD5 {
			t.Errorf("completed: %s, %v", digest, err)
		}
	}
	if _, err := w.service.CompleteUpload(w.ada, v.Artifact.ID, "artifacts/1/2/other-3", u.UploadID, spec.Parts); !access.IsNotFound(err) {
		t.Errorf("another object: got %v, want not found", err)
	}
}

// clientPatience is how long the client waits for a commit. The benchmarks hold 10 s; a machine that runs other tests at the
// same time says nothing about that.
const clientPatience = time.Minute

func TestManyFilesAreCommittedQuickly(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	each(t, func(t *testing.T, w *world) {
		const n = 100_000
		files := make(map[string]string, n)
		for i := range n {
			files[fmt.Sprintf("images/%02d/picture-%06d.png", i%100, i)] = fmt.Sprint("bytes of picture ", i)
		}
		d := dataset("data", files)
		v, err := w.service.Create(w.ada, w.place, d.Create)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		paths := slices.Sorted(maps.Keys(files))
		for part := range slices.Chunk(paths, 2000) {
			some := map[string]string{}
			for _, path := range part {
				some[path] = files[path]
			}
			w.upload(t, w.ada, v.Artifact.ID, some)
		}
		uploaded := time.Since(start)
		text := manifestOf(files, nil)
		m, err := w.service.CreateManifest(w.ada, v.Artifact.ID, artifact.NewManifest{Name: "m", Digest: digestOf(string(text))})
		if err != nil {
			t.Fatal(err)
		}
		w.bucket.put(strings.TrimPrefix(m.Upload.URL, "put:"), text)
		start = time.Now()
		a, err := w.service.Commit(w.ada, v.Artifact.ID)
		took := time.Since(start)
		if err != nil || a.FileCount != n {
			t.Fatalf("%d files, %v", a.FileCount, err)
		}
		t.Logf("%d files: asked for in %s, committed in %s", n, uploaded.Round(time.Millisecond), took.Round(time.Millisecond))
		if took > clientPatience {
			t.Errorf("the commit took %s: the client has given up", took)
		}
		seen := 0
		start = time.Now()
		committed, err := w.service.ByID(w.ada, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		for after := ""; ; {
			page, err := w.service.Files(w.ada, committed, artifact.FileQuery{After: after, First: 5000})
			if err != nil {
				t.Fatal(err)
			}
			seen += len(page.Nodes)
			if after = page.End; !page.More {
				break
			}
		}
		t.Logf("listed in %s", time.Since(start).Round(time.Millisecond))
		if seen != n {
			t.Errorf("the listing holds %d files, want %d", seen, n)
		}
	})
}
