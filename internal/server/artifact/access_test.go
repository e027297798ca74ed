package artifact_test

import (
	"context"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestNothingIsFoundByWhoMayNotSeeItsProject(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	d := dataset("data", map[string]string{"a": "secret"})
	d.ClientID, d.SequenceClientID = "client", "sequence"
	a := w.log(t, w.ada, w.place, d)
	link, err := w.service.Link(w.ada, artifact.Link{Artifact: a.ID, Project: project, Portfolio: "best"})
	if err != nil {
		t.Fatal(err)
	}
	pending := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"b": "more"}))
	manifests, err := w.store.Manifests(t.Context(), pending.Artifact.ID)
	if err != nil {
		t.Fatal(err)
	}
	uploads, err := w.service.Uploads(w.ada, []artifact.FileSpec{{ArtifactID: pending.Artifact.ID, Name: "b", MD5: digestOf("more")}})
	if err != nil {
		t.Fatal(err)
	}
	w.run(t, w.eve, "hers", "r")
	hers := w.at(t, w.eve, "eve", "hers")
	secret := hexOf("secret")
	name := "renamed"
	calls := map[string]func(ctx context.Context) error{
		"read a version": func(ctx context.Context) error { _, err := w.service.ByID(ctx, a.ID); return err },
		"read a collection": func(ctx context.Context) error {
			_, err := w.service.CollectionByID(ctx, a.CollectionID, access.Read)
			return err
		},
		"commit": func(ctx context.Context) error { _, err := w.service.Commit(ctx, pending.Artifact.ID); return err },
		"change": func(ctx context.Context) error {
			_, err := w.service.Update(ctx, a.ID, artifact.Change{Description: &name})
			return err
		},
		"delete":                  func(ctx context.Context) error { return w.service.Delete(ctx, a.ID, true) },
		"use in a run of her own": func(ctx context.Context) error { _, err := w.service.Use(ctx, hers, "r", a.ID, ""); return err },
		"find by a client's id":   func(ctx context.Context) error { _, err := w.service.Client(ctx, "client"); return err },
		"find by a sequence's id": func(ctx context.Context) error { _, err := w.service.Client(ctx, "sequence"); return err },
		"link into her project": func(ctx context.Context) error {
			_, err := w.service.Link(ctx, artifact.Link{Artifact: a.ID, Entity: "eve", Project: "hers", Portfolio: "p"})
			return err
		},
		"link by a client's id": func(ctx context.Context) error {
			_, err := w.service.Link(ctx, artifact.Link{ClientID: "client", Entity: "eve", Project: "hers", Portfolio: "p"})
			return err
		},
		"unlink": func(ctx context.Context) error { return w.service.Unlink(ctx, a.ID, link.CollectionID) },
		"add an alias": func(ctx context.Context) error {
			return w.service.AddAliases(ctx, a.ID, []artifact.AliasIn{{Entity: "ada", Project: project, Collection: "data", Alias: "x"}})
		},
		"delete an alias": func(ctx context.Context) error {
			return w.service.DeleteAliases(ctx, a.ID, []artifact.AliasIn{{Entity: "ada", Project: project, Collection: "data", Alias: "latest"}})
		},
		"rename a collection": func(ctx context.Context) error {
			_, err := w.service.ChangeCollection(ctx, a.CollectionID, store.Sequence, &name, nil)
			return err
		},
		"move a collection": func(ctx context.Context) error {
			_, err := w.service.MoveSequence(ctx, a.CollectionID, "t")
			return err
		},
		"delete a collection": func(ctx context.Context) error {
			_, err := w.service.DeleteCollection(ctx, a.CollectionID, store.Sequence)
			return err
		},
		"ask for an upload": func(ctx context.Context) error {
			_, err := w.service.Uploads(ctx, []artifact.FileSpec{{ArtifactID: pending.Artifact.ID, Name: "x", MD5: digestOf("x")}})
			return err
		},
		"complete an upload": func(ctx context.Context) error {
			_, err := w.service.CompleteUpload(ctx, pending.Artifact.ID, uploads[0].StoragePath, "u", nil)
			return err
		},
		"abort an upload": func(ctx context.Context) error {
			return w.service.AbortUpload(ctx, pending.Artifact.ID, uploads[0].StoragePath, "u")
		},
		"renew the URLs of parts": func(ctx context.Context) error {
			_, err := w.service.SignParts(ctx, pending.Artifact.ID, uploads[0].StoragePath, "u", []artifact.PartSpec{{Number: 1}})
			return err
		},
		"write a manifest": func(ctx context.Context) error {
			_, err := w.service.CreateManifest(ctx, pending.Artifact.ID, artifact.NewManifest{Name: "m"})
			return err
		},
		"change a manifest": func(ctx context.Context) error {
			_, err := w.service.UpdateManifest(ctx, manifests[0].ID, &name, 0)
			return err
		},
		"download by project": func(ctx context.Context) error {
			_, err := w.service.Located(ctx, "ada", project, "data", a.ID, secret)
			return err
		},
		"download by entity": func(ctx context.Context) error { _, err := w.service.LocatedInEntity(ctx, "ada", secret); return err },
		"download by the birth of bytes, through her project": func(ctx context.Context) error {
			_, err := w.service.Located(ctx, "eve", "hers", "own", a.ID, secret)
			return err
		},
	}
	w.log(t, w.eve, hers, func() draft { d := dataset("own", map[string]string{"e": "hers"}); d.RunName = "r"; return d }())
	for what, call := range calls {
		if err := call(w.eve); !access.IsNotFound(err) {
			t.Errorf("%s: got %v, want not found", what, err)
		}
	}
	if url, err := w.service.Located(w.ada, "ada", project, "data", a.ID, secret); err != nil || url == "" {
		t.Errorf("her own download: %q, %v", url, err)
	}
	if url, err := w.service.LocatedInEntity(w.ada, "ADA", secret); err != nil || url == "" {
		t.Errorf("her own download by entity: %q, %v", url, err)
	}
}

// TestKnowingADigestGivesNoBytes: a manifest that names the MD5 of somebody else's file, or of another project's, is
// refused, and the client is told to upload the bytes.
func TestKnowingADigestGivesNoBytes(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.log(t, w.ada, w.place, dataset("data", map[string]string{"a": "secret"}))
	w.run(t, w.eve, "hers", "r")
	w.run(t, w.ada, "another", "r")
	for sentence, thief := range map[string]struct {
		ctx   context.Context
		place access.Place
	}{
		"in another entity":           {w.eve, w.at(t, w.eve, "eve", "hers")},
		"in a project of that entity": {w.ada, w.at(t, w.ada, "ada", "another")},
	} {
		d := dataset("theft", nil)
		d.RunName = "r"
		d.refs = map[string]wire{"a": {"digest": digestOf("secret"), "size": 6, "birthArtifactID": artifactID(a.ID)}}
		v := w.begin(t, thief.ctx, thief.place, d)
		if _, err := w.service.Commit(thief.ctx, v.Artifact.ID); fault.Reason(err, "") != artifact.ReasonIncomplete {
			t.Errorf("%s: the commit answers %v", sentence, err)
		}
		uploads, err := w.service.Uploads(thief.ctx, []artifact.FileSpec{{ArtifactID: v.Artifact.ID, Name: "a", MD5: digestOf("secret")}})
		if err != nil || uploads[0].URL == "" {
			t.Errorf("%s: the upload is not needed: %+v, %v", sentence, uploads, err)
		}
		found, err := w.service.FilesByEntries(thief.ctx, v, []artifact.ManifestEntry{{Name: "a", Digest: digestOf("secret")}})
		if err != nil || found[0].Content.Ready {
			t.Errorf("%s: the file is found: %+v, %v", sentence, found, err)
		}
	}
	pending := w.begin(t, w.ada, w.place, dataset("data", map[string]string{"b": "2"}))
	uploads, err := w.service.Uploads(w.ada, []artifact.FileSpec{{ArtifactID: pending.Artifact.ID, Name: "again", MD5: digestOf("secret")}})
	if err != nil || uploads[0].URL != "" || uploads[0].Birth != a.ID {
		t.Errorf("in the same project: %+v, %v", uploads, err)
	}
}

func TestAReaderChangesNothing(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	if _, _, err := w.store.EnsureProject(t.Context(), store.Project{EntityID: w.place.Entity.ID, Name: "open", Access: store.AccessRead}); err != nil {
		t.Fatal(err)
	}
	d := dataset("data", map[string]string{"a": "1"})
	d.RunName = ""
	a := w.log(t, w.ada, w.at(t, w.ada, "ada", "open"), d)
	if _, err := w.service.ByID(w.eve, a.ID); err != nil {
		t.Errorf("read: %v", err)
	}
	for what, err := range map[string]error{
		"delete": w.service.Delete(w.eve, a.ID, true),
		"commit": func() error { _, err := w.service.Commit(w.eve, a.ID); return err }(),
		"change": func() error { _, err := w.service.Update(w.eve, a.ID, artifact.Change{}); return err }(),
		"alias":  w.service.AddAliases(w.eve, a.ID, []artifact.AliasIn{{Entity: "ada", Project: "open", Collection: "data", Alias: "x"}}),
	} {
		if fault.Reason(err, "") != access.ReasonForbidden {
			t.Errorf("%s: got %v, want forbidden", what, err)
		}
	}
}
