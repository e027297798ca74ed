package deploy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
)

func TestTodaysOperatorsGetTheirDocument(t *testing.T) {
	server := start(t, "")
	release := server.publish("v1", "stable")
	for name, licence := range map[string]redact.Secret{"without a licence": "", "with one": server.license("stable").Token} {
		got := server.ask(channelPath, licence, "Content-Type", "application/json")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		var document struct {
			Metadata map[string]string `json:"metadata"`
			Chart    map[string]string `json:"chart"`
			Values   map[string]any    `json:"values"`
		}
		if err := json.Unmarshal([]byte(got.body), &document); err != nil {
			t.Fatalf("%s: today's operator cannot decode it: %v", name, err)
		}
		if document.Metadata["releaseId"] != release.ID || document.Metadata["releaseName"] != "v1" || document.Metadata["channelName"] != "stable" || document.Metadata["channelId"] == "" || document.Metadata["releaseCreatedAt"] == "" {
			t.Errorf("%s: metadata = %v", name, document.Metadata)
		}
		if document.Chart["url"] != "https://deploy.example.com/charts" || document.Chart["name"] != "operator-wandb" || document.Chart["version"] != "1.0.0" {
			t.Errorf("%s: chart = %v", name, document.Chart)
		}
		if !strings.Contains(got.body, `"big":9007199254740993`) {
			t.Errorf("%s: a whole number lost digits: %s", name, got.body)
		}
		if parsed, err := catalog.Parse([]byte(got.body)); err != nil || parsed.ID() != release.ID {
			t.Errorf("%s: our own parser: %v", name, err)
		}
	}
}

func TestEachFailureHasItsStatusAndReason(t *testing.T) {
	server := start(t, "")
	server.channel("empty", "")
	release := server.publish("v1", "stable")
	revoked := server.license("stable")
	if _, err := server.client.RevokeLicense(t.Context(), revoked.ID, admin.Revocation{Reason: "unpaid"}); err != nil {
		t.Fatal(err)
	}
	stranger, err := license.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := license.Issue(license.Claims{Customer: "acme", ID: "1", ExpiresAt: time.Now().Add(time.Hour)}, stranger)
	if err != nil {
		t.Fatal(err)
	}
	good := server.license("stable").Token
	cases := map[string]struct {
		path    string
		licence redact.Secret
		headers []string
		status  int
		reason  string
	}{
		"good":                          {channelPath, good, nil, 200, ""},
		"a pinned release":              {channelPath + "/release/" + release.ID, good, nil, 200, ""},
		"malformed licence":             {channelPath, "hunter2", nil, 401, "LicenseInvalid"},
		"licence of another vendor":     {channelPath, foreign, nil, 401, "LicenseInvalid"},
		"licence that was changed":      {channelPath, good[:len(good)-8] + "AAAAAAAA", nil, 401, "LicenseInvalid"},
		"another user name":             {channelPath, "", []string{"Authorization", "Basic YWRtaW46eA=="}, 401, "LicenseInvalid"},
		"a bearer token":                {channelPath, "", []string{"Authorization", "Bearer " + adminToken}, 401, "LicenseInvalid"},
		"revoked licence":               {channelPath, revoked.Token, nil, 403, "LicenseRevoked"},
		"channel without a release":     {channelPath, server.license("empty").Token, nil, 404, "ReleaseNotFound"},
		"pin of a release that is none": {channelPath + "/release/00000000-0000-0000-0000-000000000000", good, nil, 404, "ReleaseNotFound"},
		"pin that is no ID":             {channelPath + "/release/..%2f..%2fetc", good, nil, 404, "ReleaseNotFound"},
		"a chart that is none":          {"/charts/none-1.0.0.tgz", "", nil, 404, "ChartNotFound"},
		"another path":                  {"/api/v2", "", nil, 404, "PathNotFound"},
	}
	for name, tc := range cases {
		got := server.ask(tc.path, tc.licence, tc.headers...)
		if got.status != tc.status {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, tc.status, got.body)
			continue
		}
		if tc.reason == "" {
			continue
		}
		var body admin.Failure
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Reason != tc.reason || body.Error == "" || body.Hint == "" {
			t.Errorf("%s: body %s, want reason %s with error and hint", name, got.body, tc.reason)
		}
		if (got.header.Get("WWW-Authenticate") != "") != (tc.status == 401) {
			t.Errorf("%s: WWW-Authenticate = %q", name, got.header.Get("WWW-Authenticate"))
		}
	}
}

func TestAnExpiredLicenceIsForbidden(t *testing.T) {
	server := start(t, "")
	// The server issues no expired licence, so one is signed with its key.
	key := server.signingKey()
	expired, err := license.Issue(license.Claims{Customer: "acme", ID: "1", ExpiresAt: time.Now().Add(-2 * time.Minute)}, key)
	if err != nil {
		t.Fatal(err)
	}
	leeway, err := license.Issue(license.Claims{Customer: "acme", ID: "2", ExpiresAt: time.Now().Add(-30 * time.Second), Channel: "gone"}, key)
	if err != nil {
		t.Fatal(err)
	}
	if got := server.ask(channelPath, expired); got.status != 403 || !strings.Contains(got.body, "LicenseExpired") {
		t.Errorf("expired: %d %s", got.status, got.body)
	}
	if got := server.ask(channelPath, leeway); got.status != 404 || !strings.Contains(got.body, "ChannelNotFound") {
		t.Errorf("expired within the leeway, for a channel that is none: %d %s", got.status, got.body)
	}
}

func TestConditionalRequestsWithoutAPreferenceAreAnsweredAtOnce(t *testing.T) {
	server := start(t, "")
	server.publish("v1", "stable")
	first := server.ask(channelPath, "")
	etag := first.header.Get("ETag")
	if got := server.ask(channelPath, "", "If-None-Match", etag); got.status != 304 || got.body != "" || got.header.Get("ETag") != etag || got.header.Get("Preference-Applied") != "" {
		t.Errorf("unchanged: %d %q", got.status, got.body)
	}
	for _, header := range []string{`W/` + etag, `"x", ` + etag, "*"} {
		if got := server.ask(channelPath, "", "If-None-Match", header); got.status != 304 {
			t.Errorf("If-None-Match: %s gives %d, want 304", header, got.status)
		}
	}
	if got := server.ask(channelPath, "", "If-None-Match", `"x"`, "Prefer", "wait=30"); got.status != 200 || got.took > time.Second || got.header.Get("Preference-Applied") != "wait=30" {
		t.Errorf("changed: %d after %s with Preference-Applied %q, want 200 at once", got.status, got.took, got.header.Get("Preference-Applied"))
	}
	if got := server.ask(channelPath, "", "Prefer", "wait=30"); got.status != 200 || got.took > time.Second {
		t.Errorf("unconditional: %d after %s, want 200 at once", got.status, got.took)
	}
	for _, prefer := range []string{"wait=x", "wait=-1", "respond-async", "wait", "wait=0"} {
		if got := server.ask(channelPath, "", "If-None-Match", etag, "Prefer", prefer); got.status != 304 || got.took > time.Second || got.header.Get("Preference-Applied") != "" {
			t.Errorf("Prefer: %s gives %d after %s with Preference-Applied %q", prefer, got.status, got.took, got.header.Get("Preference-Applied"))
		}
	}
}

func TestAChannelInheritsUntilItHasItsOwn(t *testing.T) {
	server := start(t, "")
	server.channel("beta", "stable")
	server.channel("canary", "beta")
	first := server.publish("v1", "stable")
	licence := server.license("canary").Token
	document := func() *catalog.Release {
		release, err := catalog.Parse([]byte(server.ask(channelPath, licence).body))
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	if got := document(); got.ID() != first.ID || got.Channel() != "canary" || got.Metadata[catalog.KeyChannelInheritsFrom] != "beta" {
		t.Errorf("inherited over two channels: %v", got.Metadata)
	}
	second := server.publish("v2", "beta")
	if got := document(); got.ID() != second.ID {
		t.Errorf("the nearest ancestor must win: %v", got.Metadata)
	}
	if _, err := server.client.Promote(t.Context(), "canary", admin.NewPromotion{Release: "v1", By: "bob"}); err != nil {
		t.Fatal(err)
	}
	if got := document(); got.ID() != first.ID {
		t.Errorf("its own release must win: %v", got.Metadata)
	}
	channel, err := server.client.Channel(t.Context(), "canary")
	if err != nil {
		t.Fatal(err)
	}
	if len(channel.History) != 1 || channel.History[0].By != "bob" || channel.History[0].Sequence != 3 || channel.Current.ReleaseName != "v1" {
		t.Errorf("channel = %+v", channel)
	}
}

func TestKeysAndProbesArePublic(t *testing.T) {
	server := start(t, "")
	keys, err := license.ParseJWKS([]byte(server.ask("/.well-known/jwks.json", "").body))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := license.Verify(server.license("stable").Token, keys, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if claims.Issuer != "https://deploy.example.com" || claims.Customer != "acme" || claims.Channel != "stable" {
		t.Errorf("claims = %+v", claims)
	}
	for _, path := range []string{"/healthz", "/ready"} {
		if got := server.ask(path, ""); got.status != 200 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}
