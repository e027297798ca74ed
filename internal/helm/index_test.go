package helm

import (
	"maps"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestOwnWritesLieOverTheIndex holds what a pass sees while the watch lags behind.
func TestOwnWritesLieOverTheIndex(t *testing.T) {
	wrote := func(name, version string, deleted bool, ago time.Duration) written {
		what := written{deleted: deleted, at: time.Now().Add(-ago)}
		what.item.Name, what.item.ResourceVersion = name, version
		return what
	}
	tests := map[string]struct {
		wrote []written
		// listed maps the names of Secrets to their resourceVersions, and so does want.
		listed, want map[string]string
		doubted      bool
		// left is how many writes are still waited for.
		left int
	}{
		"should pass the index on where nothing was written": {
			listed: map[string]string{"v1": "5"}, want: map[string]string{"v1": "5"},
		},
		"should add a revision that does not show yet": {
			wrote: []written{wrote("v2", "9", false, 0)}, listed: map[string]string{"v1": "5"},
			want: map[string]string{"v1": "5", "v2": "9"}, left: 1,
		},
		"should replace an older state": {
			wrote: []written{wrote("v1", "10", false, 0)}, listed: map[string]string{"v1": "9"}, want: map[string]string{"v1": "10"}, left: 1,
		},
		"should forget a write that shows": {
			wrote: []written{wrote("v1", "10", false, 0)}, listed: map[string]string{"v1": "10"}, want: map[string]string{"v1": "10"},
		},
		"should prefer a later write of somebody else": {
			wrote: []written{wrote("v1", "10", false, 0)}, listed: map[string]string{"v1": "11"}, want: map[string]string{"v1": "11"},
		},
		"should leave out what was deleted and still shows": {
			wrote: []written{wrote("v1", "5", true, 0)}, listed: map[string]string{"v1": "5", "v2": "6"}, want: map[string]string{"v2": "6"}, left: 1,
		},
		"should have the API server asked after a while": {
			wrote: []written{wrote("v1", "10", false, time.Minute)}, want: map[string]string{"v1": "10"}, doubted: true, left: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			release := types.NamespacedName{Namespace: "ns", Name: "demo"}
			l := &ledger{}
			for _, what := range test.wrote {
				l.now = func() time.Time { return what.at }
				l.note(release, what)
			}
			l.now = time.Now
			var listed []metav1.PartialObjectMetadata
			for secret, version := range test.listed {
				item := metav1.PartialObjectMetadata{}
				item.Name, item.ResourceVersion = secret, version
				listed = append(listed, item)
			}
			found, believed := l.merge(release, listed)
			got := map[string]string{}
			for _, item := range found {
				got[item.Name] = item.ResourceVersion
			}
			if believed == test.doubted || !maps.Equal(got, test.want) {
				t.Errorf("merged to %v (believed: %v), want %v", got, believed, test.want)
			}
			if left := len(l.entries[release]); left != test.left {
				t.Errorf("%d writes are waited for, want %d", left, test.left)
			}
		})
	}
}

// TestLedgerForgetsWhatSomebodyElseDeleted keeps a pass from asking the API server for ever.
func TestLedgerForgetsWhatSomebodyElseDeleted(t *testing.T) {
	release := types.NamespacedName{Namespace: "ns", Name: "demo"}
	now := time.Now()
	l := &ledger{now: func() time.Time { return now }}
	what := written{}
	what.item.Name = "v1"
	l.note(release, what)
	now = now.Add(ledgerPatience)
	if _, believed := l.merge(release, nil); believed {
		t.Error("an index that should show our revision and does not was believed")
	}
	l.settle(release)
	if found, believed := l.merge(release, nil); !believed || len(found) > 0 {
		t.Error("the revision is gone, and the index is still not believed")
	}
}
