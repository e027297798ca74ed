package graph

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// A client gives up at once on an error with status 200; where it may succeed later it has to be told so.
func TestFailuresThatMayPassAreAnsweredAsSuch(t *testing.T) {
	for sentence, c := range map[string]struct {
		err  error
		want bool
	}{
		"no database":               {&fault.Error{Reason: store.ReasonUnavailable, Op: "read", Retry: true}, true},
		"a bucket that is silent":   {&fault.Error{Reason: blob.ReasonUnreachable, Op: "stat", Retry: true}, true},
		"a bucket that refuses":     {&fault.Error{Reason: blob.ReasonForbidden, Op: "stat"}, false},
		"what the client did wrong": {&fault.Error{Reason: "ArtifactInvalid", Op: "the name is empty"}, false},
		"an error of this program":  {errors.New("bug"), false},
	} {
		state := &requestState{}
		ctx := context.WithValue(t.Context(), stateKey{}, state)
		if shown := present(ctx, slog.New(slog.DiscardHandler), c.err); shown.Message == "" {
			t.Errorf("%s: nothing is said", sentence)
		}
		if got := state.unavailable.Load(); got != c.want {
			t.Errorf("%s: unavailable is %v, want %v", sentence, got, c.want)
		}
	}
}
