package spec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

func TestChartForms(t *testing.T) {
	tests := map[string]struct {
		fields m
		want   spec.Chart
		text   string
	}{
		"a mounted file": {
			fields: m{"path": "/charts/operator-wandb"},
			want:   spec.Chart{Form: spec.FormLocal, Path: "/charts/operator-wandb"}, text: "/charts/operator-wandb",
		},
		"a mounted file with keys that nobody knows": {
			fields: m{"type": "local", "path": "/charts/a.tgz", "extra": int64(1)},
			want:   spec.Chart{Form: spec.FormLocal, Path: "/charts/a.tgz"}, text: "/charts/a.tgz",
		},
		"a path beats a URL, as it always has": {
			fields: m{"path": "/a", "url": "https://charts.example.com"},
			want:   spec.Chart{Form: spec.FormLocal, Path: "/a", URL: "https://charts.example.com"}, text: "/a",
		},
		"a repository": {
			fields: m{"url": "https://charts.wandb.ai", "name": "operator-wandb", "version": "0.14.3", "repoName": "wandb"},
			want:   spec.Chart{Form: spec.FormRepo, URL: "https://charts.wandb.ai", Name: "operator-wandb", Version: "0.14.3", RepoName: "wandb"},
			text:   "operator-wandb 0.14.3 from https://charts.wandb.ai",
		},
		"a repository's highest version": {
			fields: m{"url": "https://charts.wandb.ai", "name": "operator-wandb", "version": nil},
			want:   spec.Chart{Form: spec.FormRepo, URL: "https://charts.wandb.ai", Name: "operator-wandb"},
			text:   "operator-wandb from https://charts.wandb.ai",
		},
		"a password in the URL is not shown": {
			fields: m{"url": "https://reader:canary@charts.example.com/x", "name": "a"},
			want:   spec.Chart{Form: spec.FormRepo, URL: "https://reader:canary@charts.example.com/x", Name: "a"},
			text:   "a from https://[redacted]@charts.example.com/x",
		},
		"a registry": {
			fields: m{"url": "oci://registry.example.com/charts/a", "version": "1.2.3", "plainHTTP": true, "debug": true},
			want:   spec.Chart{Form: spec.FormOCI, URL: "oci://registry.example.com/charts/a", Version: "1.2.3", PlainHTTP: true, Debug: true},
			text:   "oci://registry.example.com/charts/a 1.2.3",
		},
		"a registry with a tag": {
			fields: m{"url": "oci://registry.example.com:5000/charts/a:1.2.3"},
			want:   spec.Chart{Form: spec.FormOCI, URL: "oci://registry.example.com:5000/charts/a:1.2.3"}, text: "oci://registry.example.com:5000/charts/a:1.2.3",
		},
		"credentials in a Secret, default keys": {
			fields: m{"url": "https://c.example.com", "name": "a", "credentialSecret": m{"name": "s"}},
			want: spec.Chart{Form: spec.FormRepo, URL: "https://c.example.com", Name: "a",
				CredentialSecret: &spec.CredentialSecret{Name: "s", UsernameKey: "HELM_USERNAME", PasswordKey: "HELM_PASSWORD"}},
			text: "a from https://c.example.com",
		},
		"credentials in place": {
			fields: m{"url": "https://c.example.com", "name": "a", "username": "u", "password": "p"},
			want:   spec.Chart{Form: spec.FormRepo, URL: "https://c.example.com", Name: "a", Username: "u", Password: "p"}, text: "a from https://c.example.com",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := spec.ParseChart(test.fields)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("chart (-want +got):\n%s", diff)
			}
			if got.String() != test.text {
				t.Errorf("String() = %q, want %q", got.String(), test.text)
			}
		})
	}
	for name, fields := range map[string]m{"nil": nil, "empty": {}} {
		if got, err := spec.ParseChart(fields); got != nil || err != nil {
			t.Errorf("%s: %v, %v; want no chart and no error", name, got, err)
		}
	}
}

func TestChartsOfNoForm(t *testing.T) {
	tests := map[string]struct {
		fields m
		parts  []string
	}{
		"neither path nor URL":        {m{"version": "1"}, []string{"chart.path", "chart.url"}},
		"a version without quotes":    {m{"url": "https://c.example.com", "name": "a", "version": 0.14}, []string{"chart.version", "a number", `version: "0.14"`}},
		"a whole number as version":   {m{"url": "https://c.example.com", "name": "a", "version": int64(1)}, []string{"chart.version", "an integer", `version: "1"`}},
		"a repository without a name": {m{"url": "https://c.example.com"}, []string{"chart.name", "operator-wandb"}},
		"a registry without version":  {m{"url": "oci://r.example.com/a"}, []string{"chart.version", "tag or digest"}},
		"a registry without path":     {m{"url": "oci://r.example.com", "version": "1"}, []string{"no repository"}},
		"another scheme":              {m{"url": "ftp://c.example.com", "name": "a"}, []string{`scheme "ftp"`, "https://"}},
		"no host":                     {m{"url": "https:///x", "name": "a"}, []string{"no host"}},
		"no URL at all":               {m{"url": "https://user:canary@%zz/", "name": "a"}, []string{"no URL"}},
		"half the credentials":        {m{"url": "https://c.example.com", "name": "a", "username": "u"}, []string{"chart.username", "credentialSecret"}},
		"a Secret without a name":     {m{"url": "https://c.example.com", "name": "a", "credentialSecret": m{"usernameKey": "U"}}, []string{"chart.credentialSecret.name"}},
		"a Secret that is a text":     {m{"url": "https://c.example.com", "name": "a", "credentialSecret": "s"}, []string{"chart.credentialSecret", "a string, not a map"}},
		"a Secret's key as a number":  {m{"path": "/a", "credentialSecret": m{"name": int64(1)}}, []string{"chart.credentialSecret.name", "an integer"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := spec.ParseChart(test.fields)
			if got := fault.Reason(err, ""); got != v1.ReasonChartInvalid {
				t.Fatalf("reason %q (%v)", got, err)
			}
			message := fault.Message(err)
			for _, part := range test.parts {
				if !strings.Contains(message, part) {
					t.Errorf("message %q lacks %q", message, part)
				}
			}
			if fault.Hint(err) == "" || strings.Contains(message, "canary") {
				t.Errorf("message %q has no remedy, or shows a password", message)
			}
		})
	}
}
