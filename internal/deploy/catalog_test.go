package deploy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/deploy"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// signingKey reads the key that the server made at its first start.
func (r *running) signingKey() license.SigningKey {
	r.t.Helper()
	path := filepath.Join(r.dir, "keys", "0001.pem")
	info, err := os.Stat(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		r.t.Errorf("the licence key has the mode %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := license.ParseSigningKey(redact.Secret(text))
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

func TestTheHelmRepositoryServesWhatWasPushed(t *testing.T) {
	server := start(t, "")
	archive := chartOf(t, "operator-wandb", "1.10.0", "")
	for _, version := range []string{"1.9.0", "1.10.0-rc.1"} {
		server.push("operator-wandb", version)
	}
	pushed, err := server.client.PushChart(t.Context(), archive)
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		APIVersion string `json:"apiVersion"`
		Entries    map[string][]struct {
			Version, Digest, AppVersion, Created string
			URLs                                 []string
		} `json:"entries"`
	}
	if err := yaml.Unmarshal([]byte(server.ask("/charts/index.yaml", "").body), &index); err != nil {
		t.Fatal(err)
	}
	entries := index.Entries["operator-wandb"]
	var order []string
	for _, each := range entries {
		order = append(order, each.Version)
	}
	if diff := cmp.Diff([]string{"1.10.0", "1.10.0-rc.1", "1.9.0"}, order); diff != "" || index.APIVersion != "v1" {
		t.Errorf("newest first: %s", diff)
	}
	sum := sha256.Sum256(archive)
	if digest := hex.EncodeToString(sum[:]); entries[0].Digest != digest || pushed.Digest != digest {
		t.Errorf("digest %s and %s, want %s", entries[0].Digest, pushed.Digest, digest)
	}
	got := server.ask("/charts/"+entries[0].URLs[0], "")
	if got.body != string(archive) || got.header.Get("Content-Type") != "application/gzip" {
		t.Errorf("the chart has %d bytes of type %s, want the %d that were pushed", len(got.body), got.header.Get("Content-Type"), len(archive))
	}
}

func TestAChartVersionNeverChanges(t *testing.T) {
	server := start(t, "")
	server.push("c", "1.0.0")
	if _, err := server.client.PushChart(t.Context(), chartOf(t, "c", "1.0.0", "")); err != nil {
		t.Errorf("the same bytes again: %v", err)
	}
	_, err := server.client.PushChart(t.Context(), chartOf(t, "c", "1.0.0", "other"))
	if fault.Reason(err, "") != "ChartImmutable" || fault.Hint(err) == "" {
		t.Errorf("other bytes: %v, want ChartImmutable", err)
	}
}

func TestWhatIsNoChartIsRefused(t *testing.T) {
	server := start(t, "")
	yamlOf := func(text string) []byte { return chartArchive(t, map[string]string{"c/Chart.yaml": text}) }
	for name, archive := range map[string][]byte{
		"nothing":              {},
		"text":                 []byte("hello"),
		"cut short":            chartOf(t, "c", "1.0.0", "")[:60],
		"no Chart.yaml":        chartArchive(t, map[string]string{"c/values.yaml": "{}"}),
		"two charts":           chartArchive(t, map[string]string{"a/Chart.yaml": "apiVersion: v2", "b/Chart.yaml": "apiVersion: v2"}),
		"a path that climbs":   chartArchive(t, map[string]string{"c/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0", "c/../../x": ""}),
		"an absolute path":     chartArchive(t, map[string]string{"c/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0", "/etc/x": ""}),
		"no version":           yamlOf("apiVersion: v2\nname: c\n"),
		"a version with v":     yamlOf("apiVersion: v2\nname: c\nversion: v1.0.0\n"),
		"a version, a number":  yamlOf("apiVersion: v2\nname: c\nversion: 1.0\n"),
		"a name with a slash":  yamlOf("apiVersion: v2\nname: ../c\nversion: 1.0.0\n"),
		"another format":       yamlOf("apiVersion: v9\nname: c\nversion: 1.0.0\n"),
		"a key twice":          yamlOf("apiVersion: v2\nname: c\nname: d\nversion: 1.0.0\n"),
		"what is not YAML":     yamlOf("\t: ["),
		"a bomb":               chartArchive(t, map[string]string{"c/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0", "c/x": strings.Repeat("0", 130<<20)}),
		"a bomb in Chart.yaml": yamlOf("apiVersion: v2\nname: c\nversion: 1.0.0\n#" + strings.Repeat("0", 2<<20)),
	} {
		if _, err := server.client.PushChart(t.Context(), archive); fault.Reason(err, "") != "ChartInvalid" {
			t.Errorf("%s: %v, want ChartInvalid", name, err)
		}
	}
	if _, err := server.client.PushChart(t.Context(), bytes.Repeat([]byte("x"), 16<<20+1)); fault.Reason(err, "") != "TooLarge" && fault.Reason(err, "") != "Unreachable" {
		t.Errorf("beyond 16 MiB: %v, want TooLarge", err)
	}
	if charts, err := server.client.Charts(t.Context()); err != nil || len(charts) != 0 {
		t.Errorf("charts = %v, %v, want none", charts, err)
	}
}

func TestReleasesAreCheckedAndNeverChange(t *testing.T) {
	server := start(t, "")
	server.push("operator-wandb", "1.0.0")
	good := admin.NewRelease{Name: "v1", Chart: admin.NewReleaseChart{Name: "operator-wandb", Version: "1.0.0"}, Values: []byte(`{"a":1}`)}
	first, err := server.client.Publish(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := server.client.Publish(t.Context(), good); err != nil || again.ID != first.ID {
		t.Errorf("the same again: %v, %v, want release %s", again.ID, err, first.ID)
	}
	cases := map[string]struct {
		change func(*admin.NewRelease)
		want   string
	}{
		"other content under the name":  {func(r *admin.NewRelease) { r.Values = []byte(`{"a":2}`) }, "ReleaseImmutable"},
		"a name that looks like an ID":  {func(r *admin.NewRelease) { r.Name = "00000000-0000-4000-8000-000000000000" }, "RequestInvalid"},
		"no name":                       {func(r *admin.NewRelease) { r.Name = "" }, "ReleaseInvalid"},
		"a chart that was never pushed": {func(r *admin.NewRelease) { r.Chart.Version = "2.0.0" }, "ChartNotFound"},
		"a range of versions elsewhere": {func(r *admin.NewRelease) { r.Chart.URL, r.Chart.Version = "https://charts.example.com", "^1" }, "ReleaseInvalid"},
		"values that are a list":        {func(r *admin.NewRelease) { r.Values = []byte(`[1]`) }, "RequestInvalid"},
		"values beyond 1 MiB":           {func(r *admin.NewRelease) { r.Values = []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`) }, "TooLarge"},
		"a body beyond all bounds":      {func(r *admin.NewRelease) { r.Values = []byte(`{"a":"` + strings.Repeat("x", 3<<20) + `"}`) }, "TooLarge"},
		"a channel that is none":        {func(r *admin.NewRelease) { r.Name, r.Promote = "v2", "nope" }, "ChannelNotFound"},
	}
	for name, tc := range cases {
		wanted := good
		tc.change(&wanted)
		if _, err := server.client.Publish(t.Context(), wanted); fault.Reason(err, "") != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	external := admin.NewRelease{Name: "v3", Chart: admin.NewReleaseChart{URL: "oci://registry.example.com/charts/operator-wandb", Version: "1.2.3"}, Promote: "stable"}
	if _, err := server.client.Publish(t.Context(), external); err != nil {
		t.Errorf("a chart of another repository: %v", err)
	}
	releases, err := server.client.Releases(t.Context())
	if err != nil || len(releases) != 2 || releases[0].Name != "v3" || len(releases[0].Channels) != 1 || releases[1].Chart["version"] != "1.0.0" {
		t.Errorf("releases = %+v, %v", releases, err)
	}
	shown, err := server.client.Release(t.Context(), first.ID)
	if err != nil || string(shown.Values) != `{"a":1}` {
		t.Errorf("release = %+v, %v", shown, err)
	}
}

func TestChannelsAreMadeOnce(t *testing.T) {
	server := start(t, "")
	server.channel("beta", "stable")
	server.channel("beta", "stable")
	for name, tc := range map[string]struct {
		wanted admin.NewChannel
		reason string
	}{
		"another ancestor":   {admin.NewChannel{Name: "beta"}, "ChannelExists"},
		"no such ancestor":   {admin.NewChannel{Name: "x", InheritsFrom: "nope"}, "ChannelNotFound"},
		"itself as ancestor": {admin.NewChannel{Name: "stable", InheritsFrom: "stable"}, "ChannelNotFound"},
		"a name with spaces": {admin.NewChannel{Name: "a b"}, "RequestInvalid"},
		"no name":            {admin.NewChannel{}, "RequestInvalid"},
	} {
		if _, err := server.client.CreateChannel(t.Context(), tc.wanted); fault.Reason(err, "") != tc.reason {
			t.Errorf("%s: %v, want %s", name, err, tc.reason)
		}
	}
}

func TestEverythingSurvivesARestartAndACrash(t *testing.T) {
	first := start(t, "")
	first.channel("beta", "stable")
	release := first.publish("v1", "stable")
	good, revoked := first.license("beta"), first.license("beta")
	if _, err := first.client.RevokeLicense(t.Context(), revoked.ID, admin.Revocation{By: "ada", Reason: "unpaid"}); err != nil {
		t.Fatal(err)
	}
	before := first.ask(channelPath, good.Token)
	// What a crash leaves behind is the folder as it is now, with the server still running.
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(first.dir)); err != nil {
		t.Fatal(err)
	}
	first.stop()
	for name, dir := range map[string]string{"restart": first.dir, "crash": crashed} {
		server := start(t, dir)
		after := server.ask(channelPath, good.Token)
		if after.status != 200 || after.header.Get("ETag") != before.header.Get("ETag") || after.body != before.body {
			t.Errorf("%s: %d %s, want the same document and entity tag", name, after.status, after.body)
		}
		if got := server.ask(channelPath, revoked.Token); got.status != http.StatusForbidden {
			t.Errorf("%s: the revoked licence gives %d", name, got.status)
		}
		if got := server.ask("/charts/operator-wandb-1.0.0.tgz", ""); got.status != 200 {
			t.Errorf("%s: the chart gives %d", name, got.status)
		}
		licenses, err := server.client.Licenses(t.Context())
		if err != nil || len(licenses) != 2 || licenses[1].RevokedBy != "ada" && licenses[0].RevokedBy != "ada" {
			t.Errorf("%s: licences = %+v, %v", name, licenses, err)
		}
		channel, err := server.client.Channel(t.Context(), "stable")
		if err != nil || channel.Current == nil || channel.Current.ReleaseID != release.ID || channel.Current.By != "ada" {
			t.Errorf("%s: channel = %+v, %v", name, channel, err)
		}
	}
}

func TestTheDataFolderHasOneOwner(t *testing.T) {
	server := start(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := deploy.New(ctx, deploy.Config{DataDir: server.dir, ExternalURL: "https://deploy.example.com"})
	if fault.Reason(err, "") != "DataDirInUse" || fault.Hint(err) == "" {
		t.Errorf("a second server: %v, want DataDirInUse", err)
	}
}
