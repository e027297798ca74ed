package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// attacker stands between customer and server, holds a valid certificate, and changes answers.
type attacker struct {
	url string

	mu     sync.Mutex
	change func(path string, body []byte) []byte
	seen   map[string][]byte
}

func newAttacker(t *testing.T, target string) *attacker {
	t.Helper()
	address, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{seen: map[string][]byte{}}
	proxy := httputil.NewSingleHostReverseProxy(address)
	proxy.ModifyResponse = func(response *http.Response) error {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		path := response.Request.URL.Path
		if response.StatusCode == http.StatusOK {
			a.seen[path] = body
			if a.change != nil {
				body = a.change(path, body)
			}
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		response.ContentLength = int64(len(body))
		response.Header.Del("Content-Length")
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *attacker) changing(change func(path string, body []byte) []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change = change
}

func (a *attacker) copy(path string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return bytes.Clone(a.seen[path])
}

const (
	channelPath   = "/api/v1/operator/channel"
	timestampPath = "/catalog/metadata/timestamp.json"
)

// signed is a server with a signed catalog and release v1 on channel stable, seen through an attacker.
type signed struct {
	t        *testing.T
	attacker *attacker
	root     []byte
	dir      string
	licence  redact.Secret
}

func newSigned(t *testing.T) *signed {
	t.Helper()
	address, _, _ := serve(t)
	must(t, "chart", "push", chartFile(t, "operator-wandb", "1.2.0", ""))
	must(t, "trust", "init")
	publish(t, "v1", "stable")
	return &signed{
		t: t, attacker: newAttacker(t, address), root: []byte(must(t, "trust", "root")), dir: t.TempDir(),
		licence: redact.Secret(strings.TrimSpace(must(t, "license", "issue", "--customer", "acme"))),
	}
}

func (s *signed) catalog(now func() time.Time) *channel.SignedCatalog {
	s.t.Helper()
	verifier, err := channel.NewSignedCatalog(channel.SignedCatalogOptions{Root: s.root, Dir: s.dir, Now: now})
	if err != nil {
		s.t.Fatal(err)
	}
	return verifier
}

// verify fetches what the server offers and verifies it, as a follower does.
func (s *signed) verify(verifier *channel.SignedCatalog, sub channel.Subscription) (*catalog.Release, error) {
	s.t.Helper()
	path := channelPath
	if sub.Pin != "" {
		path += "/release/" + sub.Pin
	}
	sub.BaseURL = s.attacker.url
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.attacker.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if sub.License != "" {
		request.SetBasicAuth("license", sub.License.Reveal())
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	release, err := catalog.Parse(body)
	if err != nil {
		s.t.Fatalf("%d: %v", response.StatusCode, err)
	}
	return release, verifier.Verify(s.t.Context(), sub, release)
}

func replace(suffix, before, after string) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		if strings.HasSuffix(path, suffix) {
			return bytes.Replace(body, []byte(before), []byte(after), 1)
		}
		return body
	}
}

func TestWhatWasNotSignedIsRefused(t *testing.T) {
	s := newSigned(t)
	id := publish(t, "v2", "")
	cases := map[string]struct {
		change func(path string, body []byte) []byte
		now    time.Duration
		// want is the reason; "" where the release is accepted.
		want string
	}{
		"nothing changed":                     {},
		"a value of the release was changed":  {change: replace(channelPath, `"tag":"v1"`, `"tag":"evil"`), want: channel.ReasonSignatureInvalid},
		"the chart was changed":               {change: replace(channelPath, `"version":"1.2.0"`, `"version":"6.6.6"`), want: channel.ReasonSignatureInvalid},
		"a key was added":                     {change: replace(channelPath, `"values":{`, `"values":{"x":1,`), want: channel.ReasonSignatureInvalid},
		"metadata was added":                  {change: replace(channelPath, `"metadata":{`, `"metadata":{"x":"1",`), want: channel.ReasonSignatureInvalid},
		"the channel's name was changed":      {change: replace(channelPath, `"channelName":"stable"`, `"channelName":"nightly"`), want: channel.ReasonSignatureInvalid},
		"a release that nobody published":     {change: replace(channelPath, `"releaseId":"`, `"releaseId":"0`), want: channel.ReasonUnsigned},
		"an ID that climbs":                   {change: replace(channelPath, `"releaseId":"`, `"releaseId":"../`), want: channel.ReasonUnsigned},
		"the timestamp has no signature":      {change: stripSignatures("timestamp.json"), want: channel.ReasonSignatureInvalid},
		"the snapshot has no signature":       {change: stripSignatures("snapshot.json"), want: channel.ReasonSignatureInvalid},
		"the releases have no signature":      {change: stripSignatures("releases.json"), want: channel.ReasonSignatureInvalid},
		"the list of releases was changed":    {change: replace("releases.json", `"length":`, `"length":1`), want: channel.ReasonSignatureInvalid},
		"the pointer was changed":             {change: replaceAll("/catalog/targets/channels/", `"releaseId":"`, `"releaseId":"0`), want: channel.ReasonSignatureInvalid},
		"a page of a captive portal":          {change: func(path string, body []byte) []byte { return whereCatalog(path, body, []byte("<html>")) }, want: channel.ReasonSignatureInvalid},
		"signatures a day old":                {now: 25 * time.Hour, want: channel.ReasonMetadataExpired},
		"this cluster's clock is years ahead": {now: 6 * 365 * 24 * time.Hour, want: channel.ReasonMetadataExpired},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s.t, s.dir = t, t.TempDir()
			s.attacker.changing(tc.change)
			_, err := s.verify(s.catalog(func() time.Time { return time.Now().Add(tc.now) }), channel.Subscription{License: s.licence})
			if got := fault.Reason(err, ""); got != tc.want || (err != nil && fault.Hint(err) == "") {
				t.Errorf("reason %q (%v), want %q with a hint", got, err, tc.want)
			}
		})
	}
	s.t, s.dir = t, t.TempDir()
	s.attacker.changing(nil)
	if _, err := s.verify(s.catalog(nil), channel.Subscription{License: s.licence, Pin: id}); err != nil {
		t.Errorf("a pin of a release that no channel offers: %v, want it accepted", err)
	}
	must(t, "channel", "create", "beta")
	beta := redact.Secret(strings.TrimSpace(must(t, "license", "issue", "--customer", "acme", "--channel", "beta")))
	must(t, "release", "promote", "v2", "--channel", "beta")
	if _, err := s.verify(s.catalog(nil), channel.Subscription{License: beta}); err != nil {
		t.Errorf("another channel: %v", err)
	}
	release, err := catalog.Parse(s.attacker.copy(channelPath))
	if err != nil {
		t.Fatal(err)
	}
	sub := channel.Subscription{BaseURL: s.attacker.url, License: s.licence}
	if err := s.catalog(nil).Verify(t.Context(), sub, release); err == nil {
		t.Error("the release of another channel than the licence's is accepted")
	}
}

func stripSignatures(suffix string) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		if !strings.HasSuffix(path, suffix) {
			return body
		}
		var file map[string]json.RawMessage
		if json.Unmarshal(body, &file) != nil {
			return body
		}
		file["signatures"] = json.RawMessage("[]")
		stripped, err := json.Marshal(file)
		if err != nil {
			return body
		}
		return stripped
	}
}

func replaceAll(prefix, before, after string) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		if strings.HasPrefix(path, prefix) {
			return bytes.ReplaceAll(body, []byte(before), []byte(after))
		}
		return body
	}
}

func whereCatalog(path string, body, instead []byte) []byte {
	if path == timestampPath {
		return instead
	}
	return body
}

func TestNobodyGoesBackBehindWhatWasAccepted(t *testing.T) {
	s := newSigned(t)
	sub := channel.Subscription{License: s.licence}
	if _, err := s.verify(s.catalog(nil), sub); err != nil {
		t.Fatal(err)
	}
	oldTimestamp, oldDocument := s.attacker.copy(timestampPath), s.attacker.copy(channelPath)
	publish(t, "v2", "stable")
	if release, err := s.verify(s.catalog(nil), sub); err != nil || release.Name() != "v2" {
		t.Fatalf("%v, %v, want v2", release, err)
	}
	instead := func(at string, old []byte) func(string, []byte) []byte {
		return func(path string, body []byte) []byte {
			if path == at {
				return old
			}
			return body
		}
	}
	s.attacker.changing(instead(timestampPath, oldTimestamp))
	if _, err := s.verify(s.catalog(nil), sub); fault.Reason(err, "") != channel.ReasonRollbackDetected {
		t.Errorf("an older catalog, after a restart of the verifier: %v, want RollbackDetected", err)
	}
	s.attacker.changing(instead(channelPath, oldDocument))
	if _, err := s.verify(s.catalog(nil), sub); fault.Reason(err, "") != channel.ReasonRollbackDetected {
		t.Errorf("an older release under a new catalog: %v, want RollbackDetected", err)
	}
	s.attacker.changing(nil)
	if _, err := s.verify(s.catalog(nil), sub); err != nil {
		t.Errorf("after the attack: %v", err)
	}
}

func TestAnotherPublishersRootIsNoTrust(t *testing.T) {
	s := newSigned(t)
	other := newSigned(t)
	s.root, s.dir = other.root, t.TempDir()
	if _, err := s.verify(s.catalog(nil), channel.Subscription{License: s.licence}); fault.Reason(err, "") != channel.ReasonSignatureInvalid {
		t.Errorf("%v, want SignatureInvalid", err)
	}
	for name, root := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "without signatures": stripSignatures("")("", s.root)} {
		if _, err := channel.NewSignedCatalog(channel.SignedCatalogOptions{Root: root, Dir: t.TempDir()}); fault.Reason(err, "") != channel.ReasonTrustRootInvalid {
			t.Errorf("%s as root: %v, want TrustRootInvalid", name, err)
		}
	}
}

func TestAServerWithoutSignaturesIsRefusedInSignedMode(t *testing.T) {
	s := newSigned(t)
	root := s.root
	address, _, _ := serve(t)
	must(t, "chart", "push", chartFile(t, "operator-wandb", "1.2.0", ""))
	publish(t, "v1", "stable")
	plain := &signed{t: t, attacker: newAttacker(t, address), root: root, dir: t.TempDir()}
	if _, err := plain.verify(plain.catalog(nil), channel.Subscription{}); fault.Reason(err, "") != channel.ReasonUnsigned {
		t.Errorf("%v, want Unsigned", err)
	}
}

func TestASignedFollowerTakesGoodReleasesAndKeepsThemUnderAttack(t *testing.T) {
	s := newSigned(t)
	f, err := channel.New(channel.Options{Trust: channel.TrustSigned, Verifier: s.catalog(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	key := types.NamespacedName{Namespace: "wandb", Name: "wandb"}
	f.Follow(channel.Subscription{Key: key, BaseURL: s.attacker.url, License: s.licence})
	latest := func() channel.Snapshot {
		snapshot, _ := f.Latest(key)
		return snapshot
	}
	eventually(t, "accepting v1", func() bool { return latest().Release != nil })
	eventually(t, "holding the follower", func() bool { return held(t, os.Getenv("DEPLOY_URL")) == "1" })
	began := time.Now()
	publish(t, "v2", "stable")
	eventually(t, "accepting v2", func() bool { return latest().Release.Name() == "v2" })
	took := time.Since(began)
	t.Logf("publish command started until the signed follower knows: %s", took)
	if took > promptly {
		t.Errorf("noticing took %s", took)
	}
	eventually(t, "holding the follower", func() bool { return held(t, os.Getenv("DEPLOY_URL")) == "1" })
	s.attacker.changing(replaceAll(channelPath, `"tag":"v3"`, `"tag":"evil"`))
	publish(t, "v3", "stable")
	eventually(t, "refusing v3", func() bool { return fault.Reason(latest().Err, "") == channel.ReasonSignatureInvalid })
	if got := latest().Release.Name(); got != "v2" {
		t.Errorf("release %s is in use, want v2", got)
	}
	s.attacker.changing(nil)
	eventually(t, "accepting v3", func() bool { return latest().Err == nil && latest().Release.Name() == "v3" })
}

func TestTrustIsShownToPeople(t *testing.T) {
	s := newSigned(t)
	shown := must(t, "trust", "show")
	for _, want := range []string{"Fingerprint of the root (SHA-256): ", "timestamp", "on the server"} {
		if !strings.Contains(shown, want) {
			t.Errorf("trust show lacks %q:\n%s", want, shown)
		}
	}
	path := filepath.Join(t.TempDir(), "root.json")
	got := command(t, "trust", "root", "--file", path)
	written, err := os.ReadFile(path)
	if err != nil || got.code != 0 || !bytes.Equal(written, s.root) {
		t.Errorf("trust root --file: %d %s %v", got.code, got.errors, err)
	}
	fingerprint := strings.TrimSpace(strings.TrimPrefix(got.errors, "fingerprint "))
	if len(fingerprint) != 64 || !strings.Contains(shown, fingerprint) {
		t.Errorf("fingerprint %q is not the one of trust show", fingerprint)
	}
}
