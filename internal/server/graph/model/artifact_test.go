package model_test

import (
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// TestACommitHashNamesOneCommittedVersion holds that files which come again, in another collection, are another commit.
func TestACommitHashNamesOneCommittedVersion(t *testing.T) {
	hash := func(id store.ID, state store.ArtifactState) *string {
		row := store.Artifact{ID: id, Digest: "d41d8cd98f00b204e9800998ecf8427e", State: state}
		return model.Artifact{Version: &artifact.Version{Artifact: row}}.CommitHash()
	}
	one, other := hash(1, store.ArtifactCommitted), hash(2, store.ArtifactCommitted)
	if one == nil || other == nil || *one == *other || len(*one) != 20 || *one != *hash(1, store.ArtifactCommitted) {
		t.Errorf("two versions of the same files have the hashes %v and %v", one, other)
	}
	if got := hash(1, store.ArtifactPending); got != nil {
		t.Errorf("a version that is not committed has the hash %q", *got)
	}
}
