package release

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// TestKnownMemoryHoldsUntilSomebodyElseWrites tells when a pass may do without reading the Secret.
func TestKnownMemoryHoldsUntilSomebodyElseWrites(t *testing.T) {
	tests := map[string]struct {
		known, watched string
		want           bool
	}{
		"should hold while the watch shows the same state":      {known: "10", watched: "10", want: true},
		"should hold while the watch is behind our own write":   {known: "10", watched: "9", want: true},
		"should not after somebody else has written":            {known: "10", watched: "11"},
		"should not where the watch shows no Secret any more":   {known: "10", watched: ""},
		"should hold that there is none while the watch agrees": {known: "", watched: "", want: true},
		"should not hold that there is none once one appears":   {known: "", watched: "3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			key := types.NamespacedName{Namespace: "ns", Name: "wandb"}
			k := &Known{Version: func(context.Context, types.NamespacedName) (string, error) { return test.watched, nil }}
			if _, ok, _ := k.get(t.Context(), key); ok {
				t.Fatal("something is known before anything was read")
			}
			k.put(key, knownMemory{version: test.known})
			if _, ok, _ := k.get(t.Context(), key); ok != test.want {
				t.Errorf("holds = %v, want %v", ok, test.want)
			}
		})
	}
}
