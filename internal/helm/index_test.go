package helm

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestIndexIsBelievedOnceItShowsOurOwnWrites holds what a pass may conclude from a watch that lags behind.
func TestIndexIsBelievedOnceItShowsOurOwnWrites(t *testing.T) {
	tests := map[string]struct {
		wrote map[string]written
		// listed maps the names of Secrets to their resourceVersions.
		listed map[string]string
		// want are the names that count, where the index is believed.
		want     []string
		believed bool
	}{
		"should believe it where nothing was written": {listed: map[string]string{"v1": "5"}, want: []string{"v1"}, believed: true},
		"should not before a new revision shows":      {wrote: map[string]written{"v2": {version: "9"}}, listed: map[string]string{"v1": "5"}},
		"should not while an older state shows":       {wrote: map[string]written{"v1": {version: "10"}}, listed: map[string]string{"v1": "9"}},
		"should once the write shows": {
			wrote: map[string]written{"v1": {version: "10"}}, listed: map[string]string{"v1": "10"}, want: []string{"v1"}, believed: true,
		},
		"should once a later write of somebody else shows": {
			wrote: map[string]written{"v1": {version: "10"}}, listed: map[string]string{"v1": "11"}, want: []string{"v1"}, believed: true,
		},
		"should leave out what was deleted and is still listed": {
			wrote: map[string]written{"v1": {deleted: true}}, listed: map[string]string{"v1": "5", "v2": "6"}, want: []string{"v2"}, believed: true,
		},
		"should not where versions cannot be compared": {wrote: map[string]written{"v1": {version: "10"}}, listed: map[string]string{"v1": "x"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			release := types.NamespacedName{Namespace: "ns", Name: "demo"}
			l := &ledger{}
			for secret, what := range test.wrote {
				l.note(release, secret, what)
			}
			var listed []metav1.PartialObjectMetadata
			for secret, version := range test.listed {
				item := metav1.PartialObjectMetadata{}
				item.Name, item.ResourceVersion = secret, version
				listed = append(listed, item)
			}
			found, believed := l.reconcile(release, listed)
			if believed != test.believed {
				t.Fatalf("believed = %v, want %v", believed, test.believed)
			}
			var names []string
			for _, item := range found {
				names = append(names, item.Name)
			}
			slices.Sort(names)
			if believed && !slices.Equal(names, test.want) {
				t.Errorf("counted %v, want %v", names, test.want)
			}
		})
	}
}

// TestLedgerForgetsWhatSomebodyElseDeleted keeps a pass from asking the API server for ever.
func TestLedgerForgetsWhatSomebodyElseDeleted(t *testing.T) {
	release := types.NamespacedName{Namespace: "ns", Name: "demo"}
	l := &ledger{}
	l.note(release, "v1", written{version: "10"})
	if _, believed := l.reconcile(release, nil); believed {
		t.Error("an index that does not show our revision was believed")
	}
	l.settle(release, nil)
	if _, believed := l.reconcile(release, nil); !believed {
		t.Error("the revision is gone, and the index is still not believed")
	}
}
