package deploy_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/deploy"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

func TestOnlyTheAdminTokenAdmits(t *testing.T) {
	var file string
	server := start(t, "", func(c *deploy.Config) { file = c.AdminTokenFile })
	for _, path := range []string{"/channels", "/channels/stable", "/charts", "/releases", "/releases/x", "/licenses"} {
		for _, token := range []redact.Secret{"", "wrong"} {
			if _, err := get(t, server, admin.Path+path, token); err != http.StatusUnauthorized && err != http.StatusTooManyRequests {
				t.Errorf("%s with %q: %d, want 401 or 429", path, token.Reveal(), err)
			}
		}
	}
	limited, status := get(t, server, admin.Path+"/channels", "wrong")
	if status != http.StatusTooManyRequests || limited.Get("Retry-After") == "" {
		t.Errorf("after many wrong tokens: %d, want 429 with Retry-After", status)
	}
	for header, want := range map[string]int{"203.0.113.7": 401, "203.0.113.7, 203.0.113.8": 401, "nonsense": 429} {
		if got := server.ask(admin.Path+"/channels", "", "X-Forwarded-For", header); got.status != want {
			t.Errorf("another client behind the proxy (X-Forwarded-For: %s): %d, want %d", header, got.status, want)
		}
	}
	if got := server.ask(channelPath, ""); got.status != http.StatusNotFound {
		t.Errorf("followers are limited too: %d", got.status)
	}
	second := start(t, "", func(c *deploy.Config) { file = c.AdminTokenFile })
	if err := os.WriteFile(file, []byte("another-token-of-sufficient-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := second.client.Channels(t.Context()); fault.Reason(err, "") != "AdminTokenInvalid" {
		t.Errorf("the old token: %v, want AdminTokenInvalid", err)
	}
	if _, err := second.adminClient("another-token-of-sufficient-length").Channels(t.Context()); err != nil {
		t.Errorf("the new token: %v", err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := second.adminClient("short").Channels(t.Context()); fault.Reason(err, "") != "NotReady" {
		t.Errorf("a token that can be guessed: %v, want NotReady", err)
	}
}

func get(t *testing.T, server *running, path string, token redact.Secret) (http.Header, int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.Header, response.StatusCode
}

func TestAServerWithoutATokenMakesOne(t *testing.T) {
	server := start(t, "", func(c *deploy.Config) { c.AdminTokenFile = "" })
	info, err := os.Stat(server.dir + "/admin-token")
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(server.dir + "/admin-token")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || len(token) < 40 {
		t.Errorf("mode %v and %d characters", info.Mode(), len(token))
	}
	if _, err := server.adminClient(redact.Secret(strings.TrimSpace(string(token)))).Channels(t.Context()); err != nil {
		t.Error(err)
	}
	if strings.Contains(server.log.String(), strings.TrimSpace(string(token))) {
		t.Error("the log shows the token")
	}
}

func TestAnAdminRequestOfAnotherShapeIsRefused(t *testing.T) {
	server := start(t, "")
	for name, body := range map[string]string{
		"nothing": "", "a list": "[]", "an unknown member": `{"name":"x","oops":1}`, "two documents": `{"name":"x"}{}`, "cut short": `{"name":`,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+admin.Path+"/channels", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+adminToken)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusBadRequest || !bytes.Contains(text, []byte("RequestInvalid")) {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
	}
}

func TestLicencesAreIssuedAndListed(t *testing.T) {
	server := start(t, "")
	for name, tc := range map[string]struct {
		wanted admin.NewLicense
		reason string
	}{
		"no customer":            {admin.NewLicense{ExpiresAt: time.Now().Add(time.Hour)}, "RequestInvalid"},
		"in the past":            {admin.NewLicense{Customer: "acme", ExpiresAt: time.Now().Add(-time.Hour)}, "RequestInvalid"},
		"no expiry":              {admin.NewLicense{Customer: "acme"}, "RequestInvalid"},
		"a channel that is none": {admin.NewLicense{Customer: "acme", Channel: "nope", ExpiresAt: time.Now().Add(time.Hour)}, "ChannelNotFound"},
		"entitlements too large": {admin.NewLicense{Customer: "acme", ExpiresAt: time.Now().Add(time.Hour), Entitlements: map[string]any{"x": strings.Repeat("x", 20<<10)}}, "RequestInvalid"},
	} {
		if _, err := server.client.IssueLicense(t.Context(), tc.wanted); fault.Reason(err, "") != tc.reason {
			t.Errorf("%s: %v, want %s", name, err, tc.reason)
		}
	}
	if _, err := server.client.RevokeLicense(t.Context(), "nope", admin.Revocation{}); fault.Reason(err, "") != "LicenseNotFound" {
		t.Errorf("revoke what is none: %v", err)
	}
	server.publish("v1", "stable")
	issued := server.license("stable")
	server.ask(channelPath, issued.Token, "User-Agent", "operator/1")
	licenses, err := server.client.Licenses(t.Context())
	if err != nil || len(licenses) != 1 {
		t.Fatalf("licences = %v, %v", licenses, err)
	}
	if seen := licenses[0].LastSeen; seen == nil || seen.ReleaseName != "v1" || seen.UserAgent != "operator/1" || seen.Waiting {
		t.Errorf("last seen = %+v", seen)
	}
	if state := licenses[0].State(time.Now()); state != "valid" {
		t.Errorf("state = %s", state)
	}
}

func TestNoCredentialReachesTheLogOrAnAnswer(t *testing.T) {
	server := start(t, "")
	server.publish("v1", "stable")
	issued := server.license("stable")
	parts := strings.Split(issued.Token.Reveal(), ".")
	answers := ""
	for _, licence := range []redact.Secret{issued.Token, issued.Token + "x", "canary-licence", redact.Secret(parts[0] + "." + parts[1] + ".AAAA")} {
		answers += server.ask(channelPath, licence).body + server.ask(channelPath+"/release/nope", licence).body
	}
	if _, err := server.adminClient("canary-wrong-token").Channels(t.Context()); err != nil {
		answers += fault.Message(err)
	}
	if _, err := server.client.RevokeLicense(t.Context(), issued.ID, admin.Revocation{}); err != nil {
		t.Fatal(err)
	}
	answers += server.ask(channelPath, issued.Token).body + server.ask("/metrics", "").body
	server.stop()
	shown := server.log.String() + answers
	for _, secret := range []string{adminToken, parts[1], parts[2], "canary", "PRIVATE KEY"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if !strings.Contains(server.log.String(), `"licenseID":"`+issued.ID+`"`) {
		t.Error("the access log does not name the licence by its ID")
	}
}

func TestMetricsCountWhatHappens(t *testing.T) {
	server := start(t, "")
	server.publish("v1", "stable")
	server.ask(channelPath, "")
	server.ask(channelPath, "", "If-None-Match", "*")
	text := server.ask("/metrics", "").body
	for _, line := range []string{
		`deploy_release_answers_total{channel="stable",status="200"} 1`,
		`deploy_release_answers_total{channel="stable",status="304"} 1`,
		`deploy_releases_published_total 1`,
		`deploy_promotions_total{channel="stable"} 1`,
		`deploy_held_requests 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics lack %q", line)
		}
	}
}
