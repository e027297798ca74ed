package helm_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
)

func TestLocalCharts(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	content := archive(t, configMapChart("1.2.3"))
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "demo.tgz"), string(content))
	write(filepath.Join(dir, "demo.txt"), base64.StdEncoding.EncodeToString(content)+"\n")
	write(filepath.Join(dir, "broken.tgz"), "no archive")
	write(filepath.Join(outside, "demo.tgz"), string(content))
	for name, text := range configMapChart("1.2.3") {
		write(filepath.Join(dir, "folder", name), text)
	}
	if err := os.Symlink(filepath.Join(outside, "demo.tgz"), filepath.Join(dir, "link.tgz")); err != nil {
		t.Fatal(err)
	}
	// A ConfigMap volume shows its files as links within the folder.
	if err := os.Symlink(filepath.Join(dir, "demo.tgz"), filepath.Join(dir, "mounted")); err != nil {
		t.Fatal(err)
	}
	client := offline(t, func(c *helm.Config) { c.ChartsDir = dir })

	tests := map[string]struct {
		path   string
		reason string
		hint   string
	}{
		"an archive":                         {path: filepath.Join(dir, "demo.tgz")},
		"a path relative to the folder":      {path: "demo.tgz"},
		"the base64 of an archive":           {path: filepath.Join(dir, "demo.txt")},
		"a folder":                           {path: filepath.Join(dir, "folder")},
		"a link within the folder":           {path: filepath.Join(dir, "mounted")},
		"a link that leads out":              {path: filepath.Join(dir, "link.tgz"), reason: v1.ReasonChartNotAllowed, hint: "--charts-dir"},
		"a path outside":                     {path: filepath.Join(outside, "demo.tgz"), reason: v1.ReasonChartNotAllowed, hint: "--charts-dir"},
		"a path that climbs out":             {path: dir + "/../" + filepath.Base(outside) + "/demo.tgz", reason: v1.ReasonChartNotAllowed, hint: "--charts-dir"},
		"a file that is not there":           {path: filepath.Join(dir, "other.tgz"), reason: v1.ReasonChartNotFound, hint: "broken.tgz, demo.tgz, demo.txt"},
		"a file that is no archive":          {path: filepath.Join(dir, "broken.tgz"), reason: v1.ReasonChartInvalid, hint: "helm package"},
		"a file whose folder is not allowed": {path: "/etc/passwd", reason: v1.ReasonChartNotAllowed, hint: "--charts-dir"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chart, err := client.LoadChart(t.Context(), &spec.Chart{Form: spec.FormLocal, Path: test.path}, helm.Credentials{})
			if got := fault.Reason(err, ""); got != test.reason || !strings.Contains(fault.Hint(err), test.hint) {
				t.Fatalf("reason %q, hint %q (%v); want %q with %q", got, fault.Hint(err), err, test.reason, test.hint)
			}
			if err == nil && (chart.Name != "demo" || chart.Version != "1.2.3" || chart.AppVersion != "app-1.2.3" || chart.Annotations["kubewandb.io/schema"] != "3") {
				t.Errorf("chart = %+v", chart)
			}
		})
	}
	t.Run("no folder set refuses every path", func(t *testing.T) {
		_, err := offline(t, nil).LoadChart(t.Context(), &spec.Chart{Form: spec.FormLocal, Path: "demo.tgz"}, helm.Credentials{})
		if got := fault.Reason(err, ""); got != v1.ReasonChartNotAllowed {
			t.Errorf("reason %q (%v)", got, err)
		}
	})
}

func TestRepositoryVersions(t *testing.T) {
	repo := newRepository(t)
	for _, version := range []string{"1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "v0.9.0"} {
		repo.publish(version, archive(t, configMapChart(version)))
	}
	client := offline(t, nil)
	tests := map[string]struct {
		version, want, reason string
		hint                  []string
	}{
		"exact":                             {version: "1.2.0", want: "1.2.0"},
		"exact without the v of the index":  {version: "0.9.0", want: "v0.9.0"},
		"a prerelease only where asked for": {version: "2.0.0-rc.1", want: "2.0.0-rc.1"},
		"none means the highest stable":     {version: "", want: "1.10.0"},
		"a range means its highest":         {version: "~1.2", want: "1.2.0"},
		"one that is not there lists those that are, newest first": {
			version: "3.0.0", reason: v1.ReasonChartNotFound, hint: []string{"2.0.0-rc.1, 1.10.0, 1.2.0, 1.0.0, v0.9.0"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chart, err := client.LoadChart(t.Context(), repo.chart(test.version), helm.Credentials{})
			if got := fault.Reason(err, ""); got != test.reason {
				t.Fatalf("reason %q (%v), want %q", got, err, test.reason)
			}
			for _, part := range test.hint {
				if !strings.Contains(fault.Hint(err), part) {
					t.Errorf("hint %q lacks %q", fault.Hint(err), part)
				}
			}
			if err == nil && chart.Version != test.want {
				t.Errorf("version %q, want %q", chart.Version, test.want)
			}
		})
	}
	t.Run("an unknown chart lists those that there are", func(t *testing.T) {
		_, err := client.LoadChart(t.Context(), &spec.Chart{Form: spec.FormRepo, URL: repo.URL, Name: "dmo"}, helm.Credentials{})
		if fault.Reason(err, "") != v1.ReasonChartNotFound || !strings.Contains(fault.Hint(err), "It has: demo.") {
			t.Errorf("%v, hint %q", err, fault.Hint(err))
		}
	})
}

func TestAnUnchangedChartIsNotDownloadedAgain(t *testing.T) {
	repo := newRepository(t)
	repo.publish("1.0.0", archive(t, configMapChart("1.0.0")))
	cache := t.TempDir()
	now := time.Now()
	client := offline(t, func(c *helm.Config) {
		c.CacheDir = cache
		c.Now = func() time.Time { return now }
	})
	load := func(client *helm.Client, version string) (*helm.Chart, error) {
		return client.LoadChart(t.Context(), repo.chart(version), helm.Credentials{})
	}
	for range 3 {
		if _, err := load(client, "1.0.0"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	if index, revalidated, archives := repo.count("GET /index.yaml 200"), repo.count("GET /index.yaml 304"), repo.count("GET /demo-1.0.0.tgz 200"); index != 1 || revalidated != 2 || archives != 1 {
		t.Errorf("index read %d times, revalidated %d times, archive read %d times; want 1, 2, 1", index, revalidated, archives)
	}

	t.Run("a version that the fresh index lacks is looked for at once", func(t *testing.T) {
		if _, err := load(client, "1.0.0"); err != nil {
			t.Fatal(err)
		}
		repo.publish("1.1.0", archive(t, configMapChart("1.1.0")))
		if _, err := load(client, "1.1.0"); err != nil {
			t.Errorf("just published, not found: %v", err)
		}
	})
	t.Run("the same version with another digest is downloaded", func(t *testing.T) {
		changed := archive(t, with(configMapChart("1.0.0"), map[string]string{"README.md": "changed"}))
		repo.change(func() { repo.archives["/demo-1.0.0.tgz"] = changed })
		now = now.Add(time.Minute)
		chart, err := load(client, "1.0.0")
		if err != nil || chart.Digest != "sha256:"+digest(changed) {
			t.Errorf("digest %v, error %v; want the new archive", chart, err)
		}
	})
	t.Run("while the repository is away, an exact version comes from disk, even in a new process", func(t *testing.T) {
		repo.change(func() { repo.status = http.StatusBadGateway })
		restarted := offline(t, func(c *helm.Config) { c.CacheDir = cache })
		if chart, err := load(restarted, "1.0.0"); err != nil || chart.Version != "1.0.0" {
			t.Errorf("chart %v, error %v", chart, err)
		}
		_, err := load(restarted, "")
		if fault.Reason(err, "") != v1.ReasonRepositoryUnreachable || !fault.Retryable(err) {
			t.Errorf("the highest version cannot be known while the repository is away: %v", err)
		}
	})
}

func TestRepositoryFailures(t *testing.T) {
	const canary = "canary-5b1e"
	good := archive(t, configMapChart("1.0.0"))
	tests := map[string]struct {
		arrange func(*repository)
		source  func(*repository) *spec.Chart
		config  func(*helm.Config, *repository)
		cred    helm.Credentials
		reason  string
		retry   bool
		text    string
	}{
		"a server error": {
			arrange: func(r *repository) { r.status = http.StatusInternalServerError },
			reason:  v1.ReasonRepositoryUnreachable, retry: true, text: "500",
		},
		"refused credentials": {
			arrange: func(r *repository) { r.password = canary },
			cred:    helm.Credentials{Username: "reader", Password: "wrong-" + canary},
			reason:  v1.ReasonRepositoryUnreachable, retry: true, text: "chart.credentialSecret",
		},
		"accepted credentials": {
			arrange: func(r *repository) { r.password = canary },
			cred:    helm.Credentials{Username: "reader", Password: canary},
		},
		"nothing listens": {
			source: func(*repository) *spec.Chart {
				return &spec.Chart{Form: spec.FormRepo, URL: "http://127.0.0.1:1/", Name: "demo", Version: "1.0.0"}
			},
			reason: v1.ReasonRepositoryUnreachable, retry: true, text: "connection refused",
		},
		"a web page instead of an index": {
			arrange: func(r *repository) { r.index = "<html><title>Welcome</title></html>" },
			reason:  v1.ReasonRepositoryUnreachable, retry: true, text: "not as a Helm repository does",
		},
		"an archive of another digest": {
			arrange: func(r *repository) {
				r.index = "entries:\n  demo:\n  - {version: 1.0.0, urls: [demo-1.0.0.tgz], digest: " + strings.Repeat("ab", 32) + "}\n"
			},
			reason: v1.ReasonChartInvalid, text: "the index says",
		},
		"an archive that is none": {
			arrange: func(r *repository) { r.archives["/demo-1.0.0.tgz"] = []byte("text") },
			reason:  v1.ReasonChartInvalid, text: "unpack",
		},
		"an index without digests": {arrange: func(r *repository) { r.noDigest = true }},
		"a missing archive": {
			arrange: func(r *repository) {
				r.index = "entries:\n  demo:\n  - {version: 1.0.0, urls: ['gone.tgz?signature=" + canary + "']}\n"
			},
			reason: v1.ReasonChartNotFound, text: "404",
		},
		"a source that is not allowed": {
			config: func(c *helm.Config, _ *repository) { c.ChartSources = []string{"https://charts.example.com/"} },
			reason: v1.ReasonChartNotAllowed, text: "https://charts.example.com/",
		},
		"an allowed source": {
			config: func(c *helm.Config, r *repository) { c.ChartSources = []string{r.URL} },
		},
		"an allowed index that points elsewhere": {
			arrange: func(r *repository) {
				r.index = "entries:\n  demo:\n  - {version: 1.0.0, urls: ['https://elsewhere.example.com/demo.tgz']}\n"
			},
			config: func(c *helm.Config, r *repository) { c.ChartSources = []string{r.URL} },
			reason: v1.ReasonChartNotAllowed, text: "elsewhere.example.com",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t)
			repo.publish("1.0.0", good)
			if test.arrange != nil {
				repo.change(func() { test.arrange(repo) })
			}
			source := repo.chart("1.0.0")
			if test.source != nil {
				source = test.source(repo)
			}
			client := offline(t, func(c *helm.Config) {
				if test.config != nil {
					test.config(c, repo)
				}
			})
			_, err := client.LoadChart(t.Context(), source, test.cred)
			if got := fault.Reason(err, ""); got != test.reason || (err != nil && fault.Retryable(err) != test.retry) {
				t.Fatalf("reason %q, retry %v (%v); want %q, %v", got, fault.Retryable(err), err, test.reason, test.retry)
			}
			if !strings.Contains(fault.Message(err), test.text) {
				t.Errorf("message %q lacks %q", fault.Message(err), test.text)
			}
			if strings.Contains(fault.Message(err), canary) {
				t.Errorf("the message shows a credential: %s", fault.Message(err))
			}
		})
	}
}

func TestCredentialsDoNotLeaveTheRepositorysHost(t *testing.T) {
	elsewhere := newRepository(t)
	elsewhere.publish("1.0.0", archive(t, configMapChart("1.0.0")))
	var leaked string
	spy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked = r.Header.Get("Authorization")
		elsewhere.serve(w, r)
	})
	elsewhere.Config.Handler = spy
	repo := newRepository(t)
	repo.change(func() {
		repo.password = "pw"
		repo.index = "entries:\n  demo:\n  - {version: 1.0.0, urls: ['" + elsewhere.URL + "/demo-1.0.0.tgz']}\n"
	})
	if _, err := offline(t, nil).LoadChart(t.Context(), repo.chart("1.0.0"), helm.Credentials{Username: "reader", Password: "pw"}); err != nil {
		t.Fatal(err)
	}
	if leaked != "" {
		t.Error("the other host was sent the repository's credentials")
	}
}

func TestSourcePrefixesEndAtSegments(t *testing.T) {
	tests := map[string]struct {
		url     string
		allowed bool
	}{
		"the same":               {"https://charts.example.com/stable", true},
		"below it":               {"https://charts.example.com/stable/more", true},
		"a longer segment":       {"https://charts.example.com/stable-not", false},
		"climbing out":           {"https://charts.example.com/stable/../other", false},
		"a longer host":          {"https://charts.example.com.evil.example/stable", false},
		"the host as user":       {"https://charts.example.com@evil.example/stable", false},
		"another scheme":         {"http://charts.example.com/stable", false},
		"another case of a host": {"https://Charts.Example.com/stable", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := offline(t, func(c *helm.Config) {
				c.ChartSources = []string{"https://charts.example.com/stable/"}
				c.HTTPTransport = refusing{}
			})
			_, err := client.LoadChart(t.Context(), &spec.Chart{Form: spec.FormRepo, URL: test.url, Name: "demo", Version: "1.0.0"}, helm.Credentials{})
			if got := fault.Reason(err, "") != v1.ReasonChartNotAllowed; got != test.allowed {
				t.Errorf("allowed = %v (%v), want %v", got, err, test.allowed)
			}
		})
	}
}

// refusing is a network without anybody in it.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }
