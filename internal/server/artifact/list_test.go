package artifact_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestAPageOfFilesBeginsWhereTheLastOneEnded(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	files := map[string]string{}
	for i := range 25 {
		files[fmt.Sprintf("f%02d <&> é", i)] = fmt.Sprint(i)
	}
	d := dataset("data", files)
	d.refs = map[string]wire{"zref": {"digest": "x", "ref": "file:///tmp/x", "size": 3}}
	a := w.log(t, w.ada, w.place, d)
	v, err := w.service.ByID(w.ada, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, 26, 50} {
		var got []string
		for after := ""; ; {
			page, err := w.service.Files(w.ada, v, artifact.FileQuery{After: after, First: size})
			if err != nil {
				t.Fatal(err)
			}
			if page.Total != 26 || len(page.Nodes) > size {
				t.Errorf("a page of %d holds %d of %d", size, len(page.Nodes), page.Total)
			}
			for _, f := range page.Nodes {
				got = append(got, f.Path)
				url, err := w.service.FileURL(w.ada, f)
				if err != nil || url == "" {
					t.Errorf("%s has no URL: %v", f.Path, err)
				}
				if f.Ref != "" && url != "file:///tmp/x" {
					t.Errorf("the reference leads to %s", url)
				}
			}
			if after = page.End; !page.More {
				break
			}
		}
		if len(got) != 26 || !slices.IsSorted(got) {
			t.Errorf("pages of %d hold %q", size, got)
		}
	}
	page, err := w.service.Files(w.ada, v, artifact.FileQuery{Names: []string{"zref", "f03 <&> é", "absent"}})
	if err != nil || len(page.Nodes) != 2 || page.Total != 2 {
		t.Errorf("by name: %+v, %v", page, err)
	}
	for _, after := range []string{"nonsense", "eyJuIjo1fQ", "eyJuIjotNX0"} {
		if _, err := w.service.Files(w.ada, v, artifact.FileQuery{After: after}); fault.Reason(err, "") != artifact.ReasonInvalid {
			t.Errorf("cursor %s: got %v", after, err)
		}
	}
}

// logMany logs versions 0 to n-1 of data with tags and metadata.
func logMany(t *testing.T, w *world, n int) {
	t.Helper()
	for i := range n {
		d := dataset("data", map[string]string{"a": fmt.Sprint(i)})
		d.Metadata = fmt.Sprintf(`{"n":%d,"deep":{"name":"x%d"}}`, i, i%2)
		d.Tags = []string{[]string{"even", "odd"}[i%2]}
		if i == 2 {
			d.Aliases = []string{"best"}
		}
		w.log(t, w.ada, w.place, d)
	}
}

func TestVersionsAreFilteredAndSorted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const n = 7
		logMany(t, w, n)
		c, err := w.service.CollectionByName(w.ada, w.place, "data")
		if err != nil {
			t.Fatal(err)
		}
		for query, want := range map[artifact.Query]string{
			{}:                                 "6543210",
			{Filter: `{"state":"COMMITTED"}`}:  "6543210",
			{Filter: `null`}:                   "6543210",
			{Order: "+version_index"}:          "0123456",
			{Order: "version_index"}:           "0123456",
			{Order: "-created_at"}:             "6543210",
			{Filter: `{"tag":"even"}`}:         "6420",
			{Filter: `{"tag":{"$ne":"even"}}`}: "531",
			{Filter: `{"alias":"best"}`}:       "2",
			{Filter: `{"alias":"latest"}`}:     "6",
			{Filter: `{"alias":"v4"}`}:         "4",
			{Filter: `{"$or":[{"tag":"odd"},{"alias":"best"}]}`}:                           "5321",
			{Filter: `{"$and":[{"tag":{"$in":["odd","none"]}},{"metadata.n":{"$gt":2}}]}`}: "53",
			{Filter: `{"metadata.deep.name":"x1","metadata.n":{"$lte":3}}`}:                "31",
			{Filter: `{"metadata.absent":{"$exists":true}}`}:                               "",
			{Filter: `{"metadata.absent":null}`}:                                           "6543210",
			{Filter: `{"version_index":{"$gte":2,"$lt":4}}`, Order: "version_index"}:       "23",
			{Filter: `{"created_at":{"$gt":"2020-01-01"}}`}:                                "6543210",
			{Filter: `{"$nor":[{"tag":"odd"}]}`}:                                           "6420",
			{Filter: `{"$not":{"tag":"odd"}}`}:                                             "6420",
			{Filter: `{"metadata.deep.name":{"$regex":"^x0"}}`}:                            "6420",
			{Filter: `{"state":"PENDING"}`}:                                                "",
		} {
			for _, first := range []int{2, 100} {
				got := ""
				for q := query; ; {
					q.First = first
					page, err := w.service.Versions(w.ada, c, q)
					if err != nil {
						t.Fatalf("%+v: %v", query, err)
					}
					if page.Total != int64(len(want)) {
						t.Errorf("%+v: total %d, want %d", query, page.Total, len(want))
					}
					for _, m := range page.Nodes {
						got += fmt.Sprint(m.VersionIndex)
					}
					if q.After = page.End; !page.More {
						break
					}
				}
				if got != want {
					t.Errorf("%+v in pages of %d: got %s, want %s", query, first, got, want)
				}
			}
		}
		for _, q := range []artifact.Query{
			{Filter: `{"tag":{"$near":1}}`}, {Filter: `[1]`}, {Filter: `{`}, {Filter: `{"$where":"x"}`}, {Filter: `{"tag":{"$in":1}}`},
			{Filter: `{"tag":{"$regex":"("}}`}, {Order: "color"}, {After: "???"}, {Filter: strings.Repeat(`{"$not":`, 50) + "{}" + strings.Repeat("}", 50)},
		} {
			if _, err := w.service.Versions(w.ada, c, q); fault.Reason(err, "") != artifact.ReasonInvalid {
				t.Errorf("%+v: got %v, want a refusal", q, err)
			}
		}
	})
}

func TestCollectionsAreFilteredAndSorted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, name := range []string{"beta", "alpha", "gamma"} {
			a := w.log(t, w.ada, w.place, dataset(name, map[string]string{"a": name}))
			if name == "beta" {
				if _, err := w.service.TagCollection(w.ada, w.place, name, []string{"t1", "t2"}, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := w.service.Link(w.ada, artifact.Link{Artifact: a.ID, Project: project, Portfolio: "zeta"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		model := dataset("delta", map[string]string{"a": "d"})
		model.Type = "model"
		w.log(t, w.ada, w.place, model)
		types, err := w.service.Types(w.ada, w.place, artifact.Query{})
		if err != nil || len(types.Nodes) != 2 || types.Nodes[0].Name != "dataset" {
			t.Fatalf("types are %v, %v", types, err)
		}
		for q, want := range map[artifact.Query]string{
			{}:                                    "delta gamma alpha zeta beta",
			{Order: "name"}:                       "alpha beta delta gamma zeta",
			{Order: "-name"}:                      "zeta gamma delta beta alpha",
			{Filter: `{"name":{"$regex":"^.e"}}`}: "delta zeta beta",
			{Filter: `{"tag":"t2"}`}:              "beta",
			{Filter: `{"collection_type":"PORTFOLIO"}`}:       "zeta",
			{Filter: `{"type":"model"}`, Order: "created_at"}: "delta",
		} {
			var got []string
			for q := q; ; {
				q.First = 2
				page, err := w.service.Collections(w.ada, w.place, 0, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range page.Nodes {
					got = append(got, string(c.Name))
				}
				if q.After = page.End; !page.More {
					break
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%+v: got %v, want %s", q, got, want)
			}
		}
		page, err := w.service.Collections(w.ada, w.place, types.Nodes[1].ID, artifact.Query{})
		if err != nil || page.Total != 1 || page.Nodes[0].Name != "delta" {
			t.Errorf("of one type: %+v, %v", page, err)
		}
	})
}

func TestAPortfolioNumbersItsVersions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		second := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "2"}))
		link := func(a store.Artifact, aliases ...string) int64 {
			t.Helper()
			m, err := w.service.Link(w.ada, artifact.Link{Artifact: a.ID, Entity: "ada", Project: "new one", Portfolio: "best", Aliases: aliases})
			if err != nil {
				t.Fatal(err)
			}
			return m.VersionIndex
		}
		got := []int64{link(second, "prod"), link(first), link(second)}
		if !slices.Equal(got, []int64{0, 1, 0}) {
			t.Errorf("versions in the portfolio are %v", got)
		}
		place := w.at(t, w.ada, "ada", "new one")
		m, err := w.other.MemberByName(w.ada, place, "best:latest")
		if err != nil || m.ArtifactID != second.ID || m.VersionIndex != 0 {
			t.Fatalf("latest is %+v, %v", m, err)
		}
		if c := m.Version.Sequence; string(c.Name) != "data" || string(c.Place.Project.Name) != project {
			t.Errorf("its sequence is %s in %s", c.Name, c.Place.Project.Name)
		}
		memberships, err := w.service.Memberships(w.ada, m.Version)
		if err != nil || len(memberships) != 2 || memberships[0].Collection.Kind != store.Sequence {
			t.Errorf("memberships: %v, %v", memberships, err)
		}
		if _, err := w.service.Link(w.ada, artifact.Link{Artifact: first.ID, Project: project, Portfolio: "data"}); fault.Reason(err, "") != artifact.ReasonConflict {
			t.Errorf("link into a sequence: got %v", err)
		}
		if err := w.service.Unlink(w.ada, second.ID, first.CollectionID); fault.Reason(err, "") != artifact.ReasonConflict {
			t.Errorf("unlink from the sequence: got %v", err)
		}
		if err := w.service.Unlink(w.ada, second.ID, m.CollectionID); err != nil {
			t.Fatal(err)
		}
		if m, err := w.service.MemberByName(w.ada, place, "best"); err != nil || m.ArtifactID != first.ID {
			t.Errorf("latest after the unlink is %+v, %v", m, err)
		}
		if err := w.service.Delete(w.ada, first.ID, false); fault.Reason(err, "") != artifact.ReasonConflict {
			t.Errorf("delete one with aliases: got %v", err)
		}
		if err := w.service.Delete(w.ada, first.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.MemberByName(w.ada, place, "best"); !access.IsNotFound(err) {
			t.Errorf("an empty portfolio's latest: %v", err)
		}
	})
}

func TestACollectionIsRenamedMovedAndDeleted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		w.log(t, w.ada, w.place, dataset("taken", map[string]string{"a": "2"}))
		name, description, taken := "fresh", "about", "taken"
		c, err := w.service.ChangeCollection(w.ada, a.CollectionID, store.Sequence, &name, &description)
		if err != nil || string(c.Name) != name || string(c.Description) != description {
			t.Fatalf("got %+v, %v", c, err)
		}
		if _, err := w.service.ChangeCollection(w.ada, a.CollectionID, store.Sequence, &taken, nil); fault.Reason(err, "") != artifact.ReasonConflict {
			t.Errorf("a name that is taken: got %v", err)
		}
		if _, err := w.service.ChangeCollection(w.ada, a.CollectionID, store.Portfolio, &name, nil); !access.IsNotFound(err) {
			t.Errorf("as a portfolio: got %v", err)
		}
		if c, err = w.service.MoveSequence(w.ada, a.CollectionID, "model"); err != nil || string(c.TypeName) != "model" {
			t.Errorf("moved: %+v, %v", c, err)
		}
		if m, err := w.other.MemberByName(w.ada, w.place, "fresh:v0"); err != nil || m.ArtifactID != a.ID || string(m.Version.Sequence.TypeName) != "model" {
			t.Errorf("by its new name: %+v, %v", m, err)
		}
		if _, err := w.service.DeleteCollection(w.ada, a.CollectionID, store.Sequence); err != nil {
			t.Fatal(err)
		}
		if _, err := w.other.ByID(w.ada, a.ID); !access.IsNotFound(err) {
			t.Errorf("a version of it: %v", err)
		}
		if b := w.log(t, w.ada, w.place, dataset("fresh", map[string]string{"a": "1"})); b.VersionIndex != 0 || b.ID == a.ID {
			t.Errorf("one of the same name begins at %d", b.VersionIndex)
		}
		if err := w.service.DeleteOfProject(t.Context(), w.place.Project.ID); err != nil {
			t.Fatal(err)
		}
		if page, err := w.service.Collections(w.ada, w.place, 0, artifact.Query{}); err != nil || page.Total != 0 {
			t.Errorf("after all were deleted: %+v, %v", page, err)
		}
	})
}

func TestAliasesMoveAndTagsStay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		second := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "2"}))
		in := func(alias string) []artifact.AliasIn {
			return []artifact.AliasIn{{Entity: "ada", Project: project, Collection: "data", Alias: alias}}
		}
		for _, id := range []store.ID{first.ID, second.ID} {
			if err := w.service.AddAliases(w.ada, id, in("best")); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := w.other.MemberByName(w.ada, w.place, "data:best"); err != nil || m.ArtifactID != second.ID {
			t.Errorf("best is %+v, %v", m, err)
		}
		if err := w.service.DeleteAliases(w.ada, first.ID, in("best")); err != nil {
			t.Errorf("an alias of another version: %v", err)
		}
		if _, err := w.other.MemberByName(w.ada, w.place, "data:best"); err != nil {
			t.Errorf("it was taken from the version that has it: %v", err)
		}
		v, err := w.service.Update(w.ada, second.ID, artifact.Change{Aliases: []string{"x", "y"}, TagsToAdd: []string{"a b", "c"}})
		if err != nil || aliases(v) != "latest x y" || len(v.Tags) != 2 {
			t.Errorf("replaced: %s, %v, %v", aliases(v), v.Tags, err)
		}
		v, err = w.service.Update(w.ada, second.ID, artifact.Change{TagsToCut: []string{"c"}})
		if err != nil || aliases(v) != "latest x y" || len(v.Tags) != 1 {
			t.Errorf("left alone: %s, %v, %v", aliases(v), v.Tags, err)
		}
		for _, bad := range []string{"", "a/b", "a:b", "v3", strings.Repeat("x", 129), "a\nb"} {
			if err := w.service.AddAliases(w.ada, first.ID, in(bad)); fault.Reason(err, "") != artifact.ReasonInvalid {
				t.Errorf("alias %q: got %v, want a refusal", bad, err)
			}
		}
		for _, bad := range []string{"", " x", "a/b", "x "} {
			if _, err := w.service.Update(w.ada, first.ID, artifact.Change{TagsToAdd: []string{bad}}); fault.Reason(err, "") != artifact.ReasonInvalid {
				t.Errorf("tag %q: got %v, want a refusal", bad, err)
			}
		}
	})
}

func aliases(v *artifact.Version) string {
	var names []string
	for _, alias := range v.Aliases {
		names = append(names, string(alias.Alias))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestLineage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "1"}))
		w.run(t, w.ada, "other", "user")
		place := w.at(t, w.ada, "ada", "other")
		var v *artifact.Version
		for range 2 {
			var err error
			if v, err = w.service.Use(w.ada, place, "user", a.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
		users, err := w.other.UsedBy(w.ada, v)
		if err != nil || len(users) != 1 || users[0].Name != "user" || users[0].Place.Project.Name != "other" {
			t.Errorf("used by %+v, %v", users, err)
		}
		maker, err := w.other.CreatedBy(w.ada, v)
		if err != nil || maker == nil || maker.Name != "maker" {
			t.Errorf("created by %+v, %v", maker, err)
		}
		for direction, run := range map[store.EdgeDirection]store.ID{store.EdgeInput: users[0].ID, store.EdgeOutput: maker.ID} {
			page, err := w.service.OfRun(context.WithoutCancel(w.ada), place, run, direction, artifact.Query{})
			if err != nil || page.Total != 1 || len(page.Nodes) != 1 || page.Nodes[0].Artifact.ID != a.ID {
				t.Errorf("direction %d: %+v, %v", direction, page, err)
			}
		}
		if _, err := w.service.Use(w.ada, place, "nobody", a.ID, ""); !access.IsNotFound(err) {
			t.Errorf("by a run that does not exist: got %v", err)
		}
	})
}
