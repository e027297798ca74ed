package graph

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// A page that is left gives up its requests, which is no failure of the server; a resolver that gives up by itself is one.
func TestARequestThatIsGivenUpIsNoFailure(t *testing.T) {
	givenUp, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		failed bool
	}{{givenUp, false}, {t.Context(), true}} {
		var logged strings.Builder
		shown := present(c.ctx, slog.New(slog.NewTextHandler(&logged, nil)), fmt.Errorf("read the run: %w", context.Canceled))
		if got := strings.Contains(logged.String(), "level=ERROR"); got != c.failed {
			t.Errorf("logged as a failure: %v, want %v: %s", got, c.failed, logged.String())
		}
		if shown.Message == "" || strings.Contains(shown.Message, "read the run") {
			t.Errorf("the client is told %q", shown.Message)
		}
	}
}
