package deploy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/deploy"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
)

func versions(trust admin.Trust) map[string]int64 {
	found := map[string]int64{}
	for _, each := range trust.Roles {
		found[each.Name] = each.Version
	}
	return found
}

func TestTrustIsMadeOnceAndSurvives(t *testing.T) {
	server := start(t, "")
	if _, err := server.client.Trust(t.Context()); fault.Reason(err, "") != "TrustNotFound" || fault.Hint(err) == "" {
		t.Errorf("before: %v, want TrustNotFound", err)
	}
	if got := server.ask("/catalog/metadata/timestamp.json", ""); got.status != 404 {
		t.Errorf("before: timestamp.json gives %d", got.status)
	}
	server.publish("v1", "stable")
	first, err := server.client.InitTrust(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := server.client.InitTrust(t.Context())
	if err != nil || again.Fingerprint != first.Fingerprint {
		t.Errorf("the second init: %s, %v, want the same root", again.Fingerprint, err)
	}
	root := server.ask("/catalog/metadata/1.root.json", "").body
	if sum := sha256.Sum256([]byte(root)); hex.EncodeToString(sum[:]) != first.Fingerprint || root != string(first.Root) {
		t.Error("the root that is served is not the one of the fingerprint")
	}
	for _, role := range first.Roles {
		info, err := os.Stat(filepath.Join(server.dir, "trust", role.Name+".pem"))
		if err != nil || info.Mode().Perm() != 0o600 || !role.KeyPresent {
			t.Errorf("key of %s: %v, %v", role.Name, info, err)
		}
	}
	server.stop()
	restarted := start(t, server.dir)
	after, err := restarted.client.Trust(t.Context())
	if err != nil || after.Fingerprint != first.Fingerprint {
		t.Errorf("after a restart: %v, %v", after.Fingerprint, err)
	}
}

func TestALostDatabaseDoesNotMakeANewRoot(t *testing.T) {
	server := start(t, "")
	if _, err := server.client.InitTrust(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.stop()
	files, err := filepath.Glob(filepath.Join(server.dir, "deploy.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range files {
		if err := os.Remove(each); err != nil {
			t.Fatal(err)
		}
	}
	empty := start(t, server.dir)
	if _, err := empty.client.InitTrust(t.Context()); fault.Reason(err, "") != "TrustKeysExist" {
		t.Errorf("init with keys of another catalog: %v, want TrustKeysExist", err)
	}
}

func TestPublishingNeedsOnlyTheOnlineKeys(t *testing.T) {
	server := start(t, "")
	first, err := server.client.InitTrust(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	remove := func(role string) {
		if err := os.Remove(filepath.Join(server.dir, "trust", role+".pem")); err != nil {
			t.Fatal(err)
		}
	}
	remove("root")
	remove("targets")
	server.publish("v1", "stable")
	second, err := server.client.Trust(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, after := versions(first), versions(second)
	for role, grows := range map[string]int64{"root": 0, "targets": 0, "releases": 1, "channels": 1, "snapshot": 1, "timestamp": 1} {
		if after[role] != before[role]+grows {
			t.Errorf("%s: version %d after %d", role, after[role], before[role])
		}
	}
	if second.Roles[0].KeyPresent {
		t.Error("the root key is said to be here")
	}
	remove("channels")
	offered := server.ask(channelPath, "").body
	_, err = server.client.Publish(t.Context(), admin.NewRelease{
		Name: "v2", Chart: admin.NewReleaseChart{Name: "operator-wandb", Version: "1.0.0"}, Promote: "stable",
	})
	if fault.Reason(err, "") != "SigningKeyMissing" || fault.Hint(err) == "" {
		t.Errorf("without the key of channels: %v, want SigningKeyMissing", err)
	}
	if _, err := server.client.Release(t.Context(), "v2"); fault.Reason(err, "") != "ReleaseNotFound" {
		t.Errorf("what could not be signed was published: %v", err)
	}
	if got := server.ask(channelPath, "").body; got != offered {
		t.Error("what could not be signed is offered")
	}
}

func TestSignaturesAreRenewedInTime(t *testing.T) {
	log := &lockedBuffer{}
	server, err := deploy.New(t.Context(), deploy.Config{
		DataDir: t.TempDir(), ExternalURL: "https://deploy.example.com", Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if err := deploy.Renew(t.Context(), server); err != nil {
		t.Errorf("renewing nothing: %v", err)
	}
	trustOf := func() admin.Trust {
		request := httptest.NewRequestWithContext(t.Context(), "GET", admin.Path+"/trust", nil)
		request.Header.Set("Authorization", "Bearer "+tokenOf(t, server))
		answer := httptest.NewRecorder()
		server.Handler().ServeHTTP(answer, request)
		var trust admin.Trust
		if err := json.Unmarshal(answer.Body.Bytes(), &trust); err != nil {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		return trust
	}
	request := httptest.NewRequestWithContext(t.Context(), "POST", admin.Path+"/trust", bodyOf("{}"))
	request.Header.Set("Authorization", "Bearer "+tokenOf(t, server))
	answer := httptest.NewRecorder()
	server.Handler().ServeHTTP(answer, request)
	if answer.Code != 201 {
		t.Fatalf("init: %d %s", answer.Code, answer.Body)
	}
	began := time.Now()
	cases := []struct {
		after time.Duration
		// grown are the roles with a new version since the case before.
		grown map[string]bool
	}{
		{time.Hour, nil},
		{13 * time.Hour, map[string]bool{"timestamp": true}},
		{14 * time.Hour, nil},
		{16 * 24 * time.Hour, map[string]bool{"timestamp": true, "snapshot": true, "channels": true}},
		{46 * 24 * time.Hour, map[string]bool{"timestamp": true, "snapshot": true, "channels": true, "releases": true}},
		{3 * 365 * 24 * time.Hour, map[string]bool{"timestamp": true, "snapshot": true, "channels": true, "releases": true, "targets": true, "root": true}},
	}
	before := versions(trustOf())
	for _, tc := range cases {
		deploy.SetNow(server, func() time.Time { return began.Add(tc.after) })
		if err := deploy.Renew(t.Context(), server); err != nil {
			t.Fatalf("after %s: %v", tc.after, err)
		}
		shown := trustOf()
		after := versions(shown)
		for _, role := range shown.Roles {
			if grown := after[role.Name] > before[role.Name]; grown != tc.grown[role.Name] {
				t.Errorf("after %s: role %s has version %d, it had %d", tc.after, role.Name, after[role.Name], before[role.Name])
			}
			if !role.ExpiresAt.After(began.Add(tc.after)) {
				t.Errorf("after %s: role %s has ended at %s", tc.after, role.Name, role.ExpiresAt)
			}
		}
		before = after
	}
}
