package preflight

import (
	"net/http"
	"strings"
	"testing"
)

func TestPlacesOfBuckets(t *testing.T) {
	for sentence, c := range map[string]struct {
		provider, name, path string
		want                 bucket
	}{
		"of AWS":                       {"s3", "data", "", bucket{endpoint: awsEndpoint, secure: true, name: "data"}},
		"of AWS, below a path":         {"s3", "data", "/team/one/", bucket{endpoint: awsEndpoint, secure: true, name: "data", prefix: "team/one"}},
		"of AWS, with dots":            {"s3", "data.example.com", "", bucket{endpoint: awsEndpoint, secure: true, name: "data.example.com"}},
		"of a store with a port":       {"s3", "minio:9000", "data", bucket{endpoint: "minio:9000", name: "data"}},
		"of a store with TLS":          {"s3", "minio:9000", "data?tls=true", bucket{endpoint: "minio:9000", secure: true, name: "data"}},
		"of a store without TLS":       {"s3", "store.example.com", "data?tls=false", bucket{endpoint: "store.example.com", name: "data"}},
		"of a store by its name":       {"s3", "store.example.com", "data/below/it", bucket{endpoint: "store.example.com", secure: true, name: "data", prefix: "below/it"}},
		"of a store on the usual port": {"s3", "store:443", "data", bucket{endpoint: "store:443", secure: true, name: "data"}},
		"of a store by its URL":        {"s3", "http://store/", "data", bucket{endpoint: "store", name: "data"}},
		"of a store without a bucket":  {"s3", "minio:9000", "", bucket{endpoint: "minio:9000"}},
		"of CoreWeave":                 {"cw", "data", "", bucket{endpoint: coreWeaveEndpoint, secure: true, hosted: true, name: "data"}},
	} {
		c.want.provider = c.provider
		if got := parseBucket(c.provider, c.name, c.path); got != c.want {
			t.Errorf("%s: got %+v, want %+v", sentence, got, c.want)
		}
	}
}

func FuzzParseBucket(f *testing.F) {
	f.Add("s3", "minio:9000", "data?tls=true")
	f.Add("cw", "https://a:b", "%2f/..")
	f.Fuzz(func(t *testing.T, provider, name, path string) {
		b := parseBucket(provider, name, path)
		if strings.Contains(b.prefixed("x"), "?") && !strings.Contains(name, "?") {
			t.Errorf("%q: the query is part of an object's name", b.prefix)
		}
		if strings.HasSuffix(b.prefix, "/") {
			t.Errorf("prefix %q ends with a slash", b.prefix)
		}
	})
}

func TestAnswersAboutCORS(t *testing.T) {
	const origin = "https://wandb.example.com"
	for sentence, c := range map[string]struct {
		status         int
		origin, allows string
		method         string
		want           bool
	}{
		"this origin and method":      {200, origin, "GET, PUT", "PUT", true},
		"any origin":                  {204, "*", "PUT", "PUT", true},
		"any method":                  {200, "*", "*", "PUT", true},
		"reading needs no method":     {200, origin, "", "HEAD", true},
		"another method":              {200, origin, "GET, HEAD", "PUT", false},
		"another origin":              {200, "https://other.example.com", "PUT", "PUT", false},
		"no header at all":            {200, "", "", "GET", false},
		"a refusal with good headers": {403, origin, "PUT", "PUT", false},
	} {
		header := http.Header{}
		if c.origin != "" {
			header.Set("Access-Control-Allow-Origin", c.origin)
		}
		header.Set("Access-Control-Allow-Methods", c.allows)
		if got := allowsCORS(c.status, header, origin, c.method); got != c.want {
			t.Errorf("%s: got %v", sentence, got)
		}
	}
}

func TestBucketsThatNobodyHereCanAsk(t *testing.T) {
	for sentence, c := range map[string]struct {
		values string
		want   Result
		part   string
	}{
		"the identity of pods":  {"global: {bucket: {name: data}}", Skipped, "identity"},
		"the default bucket":    {"global: {bucket: {name: ''}, defaultBucket: {name: data}}", Skipped, "identity"},
		"Google Cloud Storage":  {"global: {bucket: {provider: gcs, name: data}}", Skipped, "Google"},
		"Azure":                 {"global: {bucket: {provider: az, name: account, path: data}}", Skipped, "Azure"},
		"an unknown provider":   {"global: {bucket: {provider: ftp, name: data}}", Failed, "must be s3"},
		"a store and no bucket": {"global: {bucket: {name: 'minio:9000', accessKey: a, secretKey: b}}", Failed, "Set global.bucket.path"},
	} {
		expect(t, sentence, named(t, Run(t.Context(), input(t, c.values)), BucketAccess), c.want, c.part)
	}
}
