package client_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/test/buckets"
)

// TestEveryStoreKeepsWhatTheClientSends runs programs against each kind of bucket, which the client reaches without the
// server. What they sent is read back with an empty cache, once more after the server was started again.
func TestEveryStoreKeepsWhatTheClientSends(t *testing.T) {
	for _, kind := range []struct {
		name  string
		start func(testing.TB) blob.Config
	}{{"S3", buckets.S3}, {"GCS", buckets.GCS}, {"Azure", buckets.Azure}} {
		t.Run(kind.name, func(t *testing.T) {
			p := serveBehind(t, plain, nil, flags(kind.start(t))...)
			p.ends(t)
			home := p.user(t, "ada")
			p.runs(t, home, "artifacts.py")
			p.runs(t, home, "media.py")
			before := p.everything(t, home, "all", "media", "artifacts")
			p.stop(t)
			p.start(t)
			if difference := cmp.Diff(before, p.everything(t, home, "all", "media", "artifacts")); difference != "" {
				t.Errorf("what is there changed with a restart: %s", difference)
			}
			for _, r := range p.tape.requests() {
				if r.Method == "PUT" {
					t.Errorf("PUT %s came to the server", r.Path)
				}
			}
		})
	}
}

// flags say to `server serve` what a configuration says.
func flags(cfg blob.Config) []string {
	var flags []string
	for flag, value := range map[string]string{
		"--bucket": string(cfg.URL), "--bucket-secret-key": string(cfg.SecretKey), "--bucket-endpoint": cfg.Endpoint,
		"--bucket-external-url": cfg.ExternalEndpoint,
	} {
		if value != "" {
			flags = append(flags, flag, value)
		}
	}
	return flags
}
