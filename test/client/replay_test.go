package client_test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRequestsThatComeAgainLateChangeNothing runs programs behind an ingress that sends each tenth request again, later, and
// some twice at once. What stands there when the program has ended stands there after the last copy too.
func TestRequestsThatComeAgainLateChangeNothing(t *testing.T) {
	late, every := 8*time.Second, int64(10)
	if os.Getenv("REPLAY") == "long" { // every request, a minute later: takes some minutes
		late, every = time.Minute, 1
	}
	for _, story := range []struct{ name, script, project string }{
		{"a training loop", "train.py", "train"},
		{"media", "media.py", "media"},
		{"runs that are rewound and forked", "rewind.py", "rewind"},
		{"processes that share a run", "shared.py", "shared"},
		{"artifacts", "artifacts.py", "artifacts"},
		{"runs that go on and settings that change", "edits.py", "edits"},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			ingress := newIngress(t, every, 13, late)
			ingress.spared = sparing
			p := serveBehind(t, plain, ingress)
			p.ends(t)
			home := p.user(t, "ada")
			ingress.on.Store(true)
			p.runs(t, home, story.script)
			ingress.on.Store(false)
			before := p.everything(t, home, "all", story.project)
			ingress.pending.Wait()
			t.Logf("sent again: %v", ingress.kinds)
			if difference := cmp.Diff(before, p.everything(t, home, "all", story.project)); difference != "" {
				t.Errorf("what is there changed with requests that came again: %s", difference)
			}
		})
	}
}

// sparing keeps from coming again what people do through the public Api, and rewinding: they may do the same a second time at
// once, and nothing tells a copy from that.
func sparing(r *http.Request, body []byte) bool {
	if r.URL.Path != "/graphql" {
		return false
	}
	if bytes.Contains(body, []byte("rewindRun(")) {
		return true
	}
	return strings.HasPrefix(r.UserAgent(), "W&B Public Client") && bytes.Contains(body, []byte("mutation"))
}
