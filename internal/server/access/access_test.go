package access_test

import (
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

func TestWhatARoleMayDo(t *testing.T) {
	const none, read, write, manage = "", "r", "rw", "rwm"
	want := map[store.Text]map[access.Role]string{
		store.AccessPrivate: {access.Stranger: none, access.Viewer: read, access.Member: write, access.Administrator: manage},
		store.AccessRead:    {access.Stranger: read, access.Viewer: read, access.Member: write, access.Administrator: manage},
		store.AccessWrite:   {access.Stranger: write, access.Viewer: read, access.Member: write, access.Administrator: manage},
		"anything else":     {access.Stranger: none, access.Viewer: read, access.Member: write, access.Administrator: manage},
	}
	for openness, roles := range want {
		for role, want := range roles {
			got := ""
			for i, action := range []access.Action{access.Read, access.Write, access.Manage} {
				if access.May(role, openness, action) {
					got += manage[i : i+1]
				}
			}
			if got != want {
				t.Errorf("role %d in a %s project may %q, want %q", role, openness, got, want)
			}
		}
	}
}
