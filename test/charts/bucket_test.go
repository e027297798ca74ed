package charts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
)

func TestTheBucketReachesTheServer(t *testing.T) {
	own := func(key string) string { return "wandb-bucket/" + key }
	tests := map[string]struct {
		values string
		want   map[string]string
	}{
		"none":               {values: "{}", want: map[string]string{}},
		"AWS with a role":    {values: "bucket: {provider: s3, name: b, path: p, region: eu-west-1, kmsKey: k}", want: map[string]string{"BUCKET": "s3://b/p", "BUCKET_REGION": "eu-west-1", "BUCKET_KMS_KEY": "k"}},
		"the vendor's":       {values: "defaultBucket: {name: d, region: r}", want: map[string]string{"BUCKET": "s3://d", "BUCKET_REGION": "r"}},
		"the user's wins":    {values: "{defaultBucket: {name: d, region: r}, bucket: {provider: gcs, name: b}}", want: map[string]string{"BUCKET": "gs://b"}},
		"Google":             {values: "bucket: {provider: gcs, name: b, path: /p, kmsKey: k}", want: map[string]string{"BUCKET": "gs://b/p"}},
		"CoreWeave":          {values: "bucket: {provider: cw, name: b}", want: map[string]string{"BUCKET": "cw://b"}},
		"another store":      {values: `bucket: {name: "minio.db:9000", path: "b?tls=true", accessKey: a, secretKey: s}`, want: map[string]string{"BUCKET": "s3://minio.db:9000/b?tls=true", "BUCKET_ACCESS_KEY": own("ACCESS_KEY"), "BUCKET_SECRET_KEY": own("SECRET_KEY")}},
		"Azure, first name":  {values: "bucket: {provider: az, name: account, path: container, accessKey: a}", want: map[string]string{"BUCKET": "az://account/container", "BUCKET_ACCESS_KEY": own("ACCESS_KEY")}},
		"Azure, second name": {values: "bucket: {provider: az, name: account, path: container, secretKey: a}", want: map[string]string{"BUCKET": "az://account/container", "BUCKET_SECRET_KEY": own("SECRET_KEY")}},
		"a Secret": {values: "bucket: {name: b, accessKey: a, secretKey: s, secret: {secretName: mine, secretKeyName: pw}}", want: map[string]string{
			"BUCKET": "s3://b", "BUCKET_ACCESS_KEY": "mine/ACCESS_KEY", "BUCKET_SECRET_KEY": "mine/pw",
		}},
		"references": {values: "bucket: {name: b, accessKey: {valueFrom: {secretKeyRef: {name: x, key: one}}}, secretKey: {secretKeyRef: {name: x, key: two}}}", want: map[string]string{
			"BUCKET": "s3://b", "BUCKET_ACCESS_KEY": "x/one", "BUCKET_SECRET_KEY": "x/two",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out := render(t, "operator-wandb", input{values: map[string]any{"global": parse(t, test.values)}})
			env := out.environment(t, "wandb-app")
			got := map[string]string{}
			for _, variable := range []string{"BUCKET", "BUCKET_REGION", "BUCKET_KMS_KEY", "BUCKET_ACCESS_KEY", "BUCKET_SECRET_KEY"} {
				if v, found := env[variable]; found {
					got[variable] = v.Value + referred(v)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			cfg := blob.Config{
				URL: redact.Secret(got["BUCKET"]), DataDir: "/vol/data", Region: got["BUCKET_REGION"], KMSKey: got["BUCKET_KMS_KEY"],
				AccessKey: redact.Secret(got["BUCKET_ACCESS_KEY"]), SecretKey: redact.Secret(got["BUCKET_SECRET_KEY"]),
			}
			if err := cfg.Check(); err != nil {
				t.Errorf("the server does not understand it: %v", err)
			}
			if secret := out.lookup(t, "Secret", "wandb-bucket"); (secret != nil) != usesOwn(got) {
				t.Errorf("a Secret of the chart's own exists: %v", secret != nil)
			}
		})
	}
}

func referred(v corev1.EnvVar) string {
	if v.ValueFrom == nil || v.ValueFrom.SecretKeyRef == nil {
		return ""
	}
	return v.ValueFrom.SecretKeyRef.Name + "/" + v.ValueFrom.SecretKeyRef.Key
}

func usesOwn(env map[string]string) bool {
	return env["BUCKET_ACCESS_KEY"] == "wandb-bucket/ACCESS_KEY" || env["BUCKET_SECRET_KEY"] == "wandb-bucket/SECRET_KEY"
}

// With MySQL and a bucket a pod keeps nothing, so that any number of them may run anywhere.
func TestPodsWithoutDataUseNoVolume(t *testing.T) {
	for name, test := range map[string]struct {
		values string
		claim  bool
	}{
		"SQLite and a bucket":   {"global: {bucket: {name: b}}", true},
		"MySQL and a folder":    {"global: {mysql: {host: db}}", true},
		"MySQL and a bucket":    {"global: {mysql: {host: db}, bucket: {name: b}}", false},
		"MySQL and the default": {"global: {mysql: {host: db}, defaultBucket: {name: b}}", false},
	} {
		out := render(t, "operator-wandb", input{values: parse(t, test.values)})
		if claim := out.lookup(t, "PersistentVolumeClaim", "wandb-app"); (claim != nil) != test.claim {
			t.Errorf("%s: a claim exists: %v", name, claim != nil)
		}
	}
}
