package blob

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

func TestPlaces(t *testing.T) {
	for sentence, c := range map[string]struct {
		cfg  Config
		want place
	}{
		"nothing is a folder":   {Config{DataDir: "/d"}, place{kind: kindFolder, bucket: "/d/files"}},
		"a folder":              {Config{URL: "file:///a/b"}, place{kind: kindFolder, bucket: "/a/b"}},
		"a bucket":              {Config{URL: "s3://b"}, place{kind: kindS3, bucket: "b"}},
		"a bucket with a dot":   {Config{URL: "s3://b.c"}, place{kind: kindS3, bucket: "b.c"}},
		"path, region and key":  {Config{URL: "s3://b/p/q/?region=r&kms=k"}, place{kind: kindS3, bucket: "b", prefix: "p/q/", region: "r", kms: "k"}},
		"keys as they are":      {Config{URL: "s3://AK:se/cr+et=@b/p"}, place{kind: kindS3, bucket: "b", prefix: "p/", key: "AK", secret: "se/cr+et="}},
		"keys encoded":          {Config{URL: "s3://AK:se%2Fcr%40et@b"}, place{kind: kindS3, bucket: "b", key: "AK", secret: "se/cr@et"}},
		"a secret with an at":   {Config{URL: "s3://AK:a@b:c@h:9000/b"}, place{kind: kindS3, endpoint: "http://h:9000", bucket: "b", key: "AK", secret: "a@b:c"}},
		"a secret with percent": {Config{URL: "s3://AK:100%@b"}, place{kind: kindS3, bucket: "b", key: "AK", secret: "100%"}},
		"a host with a port":    {Config{URL: "s3://a:s@h:9000/b/p?tls=true"}, place{kind: kindS3, endpoint: "https://h:9000", bucket: "b", prefix: "p/", key: "a", secret: "s"}},
		"a host without a port": {Config{URL: "s3://minio.example.com/b"}, place{kind: kindS3, endpoint: "https://minio.example.com", bucket: "b"}},
		"port 443":              {Config{URL: "s3://h:443/b"}, place{kind: kindS3, endpoint: "https://h", bucket: "b"}},
		"without encryption":    {Config{URL: "s3://h.x/b?tls=false"}, place{kind: kindS3, endpoint: "http://h.x", bucket: "b"}},
		"an endpoint apart":     {Config{URL: "s3://b.c/p", Endpoint: "https://h/"}, place{kind: kindS3, endpoint: "https://h", bucket: "b.c", prefix: "p/"}},
		"CoreWeave":             {Config{URL: "cw://b/p"}, place{kind: kindS3, hosted: true, endpoint: coreWeaveEndpoint, bucket: "b", prefix: "p/"}},
		"Google":                {Config{URL: "gs://b/p"}, place{kind: kindGCS, bucket: "b", prefix: "p/"}},
		"Azure":                 {Config{URL: "az://acc/con/p", SecretKey: "k"}, place{kind: kindAzure, account: "acc", bucket: "con", prefix: "p/", secret: "k"}},
		"fields win": {Config{URL: "s3://a:s@b?region=r", Region: "q", KMSKey: "k", AccessKey: "x", SecretKey: "y", ExternalEndpoint: "https://e/"}, place{
			kind: kindS3, bucket: "b", region: "q", kms: "k", key: "x", secret: "y", external: "https://e",
		}},
	} {
		got, err := c.cfg.place()
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(place{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}

func TestWrongPlacesAreExplained(t *testing.T) {
	for sentence, c := range map[string]struct {
		cfg         Config
		field, hint string
	}{
		"no scheme":                {Config{URL: "canary"}, "BUCKET", "s3://"},
		"another scheme":           {Config{URL: "ftp://canary"}, "BUCKET", "az://"},
		"no bucket":                {Config{URL: "s3://"}, "BUCKET", "s3://"},
		"a host without a bucket":  {Config{URL: "s3://h:9000"}, "BUCKET", "s3://"},
		"one key of two":           {Config{URL: "s3://b", AccessKey: "canary"}, "BUCKET_SECRET_KEY", "both"},
		"a choice that is none":    {Config{URL: "s3://a:canary@h:9/b?tls=yes"}, "BUCKET", "tls=true"},
		"an account alone":         {Config{URL: "az://account"}, "BUCKET", "container"},
		"a key of KMS for Google":  {Config{URL: "gs://b", KMSKey: "k"}, "BUCKET_KMS_KEY", "settings of the bucket"},
		"an endpoint without http": {Config{URL: "s3://b", Endpoint: "h:9000"}, "BUCKET_ENDPOINT", "https://"},
		"a broken external URL":    {Config{URL: "s3://b", ExternalEndpoint: "https://u:canary@h"}, "BUCKET_EXTERNAL_URL", "https://"},
		"a folder with a host":     {Config{URL: "file://a/b"}, "BUCKET", "three"},
		"nowhere":                  {Config{}, "DATA_DIR", "DATA_DIR"},
		"a path without end":       {Config{URL: redact.Secret("s3://b/" + strings.Repeat("p", 200))}, "BUCKET", "shorter"},
	} {
		err := c.cfg.Check()
		if fault.Reason(err, "") != ReasonConfigInvalid || !strings.Contains(err.Error(), c.field) || !strings.Contains(fault.Hint(err), c.hint) {
			t.Errorf("%s: %s", sentence, fault.Message(err))
		}
		if strings.Contains(fault.Message(err), "canary") {
			t.Errorf("%s: the error repeats what could be a secret: %s", sentence, fault.Message(err))
		}
	}
}

func FuzzBucketURL(f *testing.F) {
	for _, text := range []string{"s3://a:b@h:9/b?tls=true", "gs://b/p", "az://a/c", "file:///x", "s3://@@::/?", "cw://x?%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Config{URL: redact.Secret(text), DataDir: "/d"}.place()
		if err == nil && (p.bucket == "" || p.prefix != "" && !strings.HasSuffix(p.prefix, "/")) {
			t.Errorf("%q is taken for %+v", text, p)
		}
	})
}

// A signature covers the host without the port of its scheme; a client sends the host as it stands in the URL.
func TestSignedURLsNameNoDefaultPort(t *testing.T) {
	for text, want := range map[string]string{
		"s3://key:secret@store.example:443/bucket?tls=true":  "https://store.example/bucket/",
		"s3://key:secret@store.example:80/bucket?tls=false":  "http://store.example/bucket/",
		"s3://key:secret@store.example:9000/bucket?tls=true": "https://store.example:9000/bucket/",
	} {
		bucket, err := Open(t.Context(), Config{URL: redact.Secret(text), Region: "r", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		url, err := bucket.SignGet(t.Context(), "a", GetOptions{})
		if err != nil || !strings.HasPrefix(url, want) {
			t.Errorf("%s: signed %q, %v; want it to begin with %s", text, url, err, want)
		}
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhereSignedURLsLead(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"s3://key:secret@bucket/path":   "https://bucket.s3.eu-west-1.amazonaws.com",
		"s3://key:secret@store.x:443/b": "https://store.x",
		"az://account/container":        "https://account.blob.core.windows.net",
	} {
		cfg := Config{URL: redact.Secret(text), Region: "eu-west-1", DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
		if strings.HasPrefix(text, "az") {
			cfg.SecretKey, cfg.Region = "a2V5", ""
		}
		bucket, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bucket.Origin(t.Context()); err != nil || got != want {
			t.Errorf("%q leads to %q, %v; want %q", text, got, err, want)
		}
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	}
}
