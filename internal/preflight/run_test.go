package preflight

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// silentCluster is a cluster that fails the test when it is asked anything but its version.
type silentCluster struct{ t *testing.T }

func (c silentCluster) Version(context.Context) (string, error) { return "v1.31.0", nil }

func (c silentCluster) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	c.t.Errorf("somebody reads %s", key)
	return errors.New("not to be asked")
}

func (c silentCluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	c.t.Errorf("somebody lists %T", list)
	return errors.New("not to be asked")
}

// fixedKeys holds keys as "name/key".
type fixedKeys map[string]string

func (k fixedKeys) SecretKey(_ context.Context, name, key string) (redact.Secret, error) {
	value, ok := k[name+"/"+key]
	if !ok {
		return "", keyNotFound("secrets", name, key)
	}
	return redact.Secret(value), nil
}

func (k fixedKeys) ConfigMapKey(_ context.Context, name, key string) (string, error) {
	value, ok := k[name+"/"+key]
	if !ok {
		return "", keyNotFound("configmaps", name, key)
	}
	return value, nil
}

// names resolves every name but those below missing.example.com.
type names struct{}

func (names) LookupHost(_ context.Context, host string) ([]string, error) {
	if strings.HasSuffix(host, "missing.example.com") {
		return nil, &net.DNSError{Name: host, Server: "10.0.0.10:53", IsNotFound: true}
	}
	return []string{"192.0.2.1"}, nil
}

func input(t *testing.T, text string) Input {
	t.Helper()
	return Input{
		Namespace: "wandb", Release: "wandb", Values: values(t, text), Cluster: silentCluster{t}, Keys: fixedKeys{}, Resolver: names{},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			t.Error("somebody dials")
			return nil, errors.New("not to be asked")
		},
		Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
			t.Errorf("somebody asks %s", request.URL)
			return nil, errors.New("not to be asked")
		}),
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// named returns one check of a report.
func named(t *testing.T, report Report, name string) Check {
	t.Helper()
	for _, check := range report.Checks {
		if check.Name == name {
			return check
		}
	}
	t.Fatalf("no check %s in\n%s", name, report.Text())
	return Check{}
}

func TestAChartWithoutOurKeysCostsNothing(t *testing.T) {
	report := Run(t.Context(), input(t, "web: {replicas: 3}"))
	var order []string
	for _, check := range report.Checks {
		order = append(order, check.Name)
		if check.Name != KubernetesVersion && (check.Result != Skipped || !check.Idle || check.Message == "") {
			t.Errorf("got %+v", check)
		}
	}
	want := "kubernetes-version licence host ingress-class storage-class capacity mysql-reachable mysql-version mysql-parameters bucket-access bucket-cors egress"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("order is %s", got)
	}
	if report.Blocking() || report.Status() != nil || report.At.IsZero() {
		t.Errorf("got\n%s", report.Text())
	}
}

func TestHosts(t *testing.T) {
	for host, c := range map[string]struct {
		want Result
		part string
	}{
		"https://wandb.example.com":         {Passed, "resolves"},
		"https://wandb.example.com:8443/":   {Passed, ""},
		"https://192.0.2.7":                 {Passed, ""},
		"http://wandb.example.com":          {Warning, "unencrypted"},
		"http://localhost:8080":             {Warning, "same machine"},
		"https://wandb.missing.example.com": {Warning, "wandb.missing.example.com does not resolve. Make a DNS record"},
		"wandb.example.com":                 {Failed, "https://"},
		"ftp://wandb.example.com":           {Failed, "https://"},
		"https://wandb.example.com/path":    {Failed, "host only"},
		"https://u:pw@wandb.example.com":    {Failed, "host only"},
		"https://":                          {Failed, "host only"},
		"https://a b":                       {Failed, "no URL"},
	} {
		in := input(t, "")
		in.Values = map[string]any{"global": map[string]any{"host": host}}
		expect(t, host, named(t, Run(t.Context(), in), Host), c.want, c.part)
	}
}

func TestEgressAsksForAnyAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for sentence, c := range map[string]struct {
		change func(*Input)
		want   Result
		part   string
	}{
		"a 404 is an answer":     {func(in *Input) { in.ChannelURL = server.URL + "/base" }, Passed, "answered"},
		"both are asked":         {func(in *Input) { in.ChannelURL, in.ChartURL = server.URL, gone.URL+"/charts" }, Warning, gone.URL + " does not answer"},
		"credentials stay out":   {func(in *Input) { in.ChartURL = strings.Replace(gone.URL, "http://", "http://u:canary@", 1) }, Warning, "does not answer"},
		"a folder asks nothing":  {func(in *Input) { in.ChartURL = "/charts/x.tgz" }, Skipped, "nothing outside"},
		"air-gapped asks nobody": {func(in *Input) { in.ChannelURL, in.Airgapped = gone.URL, true }, Skipped, "air-gapped"},
	} {
		in := input(t, "")
		in.Transport = nil
		c.change(&in)
		got := named(t, Run(t.Context(), in), Egress)
		expect(t, sentence, got, c.want, c.part)
		if strings.Contains(got.Message, "canary") {
			t.Errorf("%s: %s", sentence, got.Message)
		}
	}
	if got := outside("oci://registry.example.com/charts/wandb"); got != "https://registry.example.com" {
		t.Errorf("got %q", got)
	}
}

func TestAServerThatNeverAnswersEndsWithTheCaller(t *testing.T) {
	in := input(t, "")
	in.ChannelURL = "https://deploy.example.com"
	in.Transport = roundTrip(func(request *http.Request) (*http.Response, error) {
		<-request.Context().Done()
		return nil, request.Context().Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	expect(t, "egress", named(t, Run(ctx, in), Egress), Warning, "no answer in time")
}

func TestReferencesThatLeadNowhere(t *testing.T) {
	for sentence, c := range map[string]struct {
		values string
		check  string
		part   string
	}{
		"the Secret of the password": {
			"global: {mysql: {host: db, passwordSecret: {name: db-login}}}",
			MySQLReachable, "kubectl create secret generic db-login -n wandb --from-literal=MYSQL_PASSWORD=<value>",
		},
		"a ConfigMap": {
			"global: {mysql: {host: {valueFrom: {configMapKeyRef: {name: places, key: db}}}}}",
			MySQLReachable, `global.mysql.host names key "db" of ConfigMap places, which is not there`,
		},
		"the Secret of the bucket": {
			"global: {bucket: {name: data, secret: {secretName: keys}}}", BucketAccess, "generic keys -n wandb --from-literal=ACCESS_KEY=",
		},
		"a bucket's key by itself": {
			"global: {bucket: {name: data, accessKey: {secretKeyRef: {name: keys, key: a}}}}", BucketAccess, "global.bucket.accessKey",
		},
	} {
		expect(t, sentence, named(t, Run(t.Context(), input(t, c.values)), c.check), Failed, c.part)
	}
}
