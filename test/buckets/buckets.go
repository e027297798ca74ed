package buckets

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
)

const (
	bucketName = "objects"
	// accessKey and secretKey hold what a URL must encode, and what charts do not.
	accessKey = "AKIATESTACCESSKEY"
	secretKey = "sec/ret+with=signs"
	// azureAccount and azureKey are those that Azurite is published with.
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Each runs a test on a new, empty bucket of each kind of store.
func Each(t *testing.T, test func(t *testing.T, cfg blob.Config)) {
	t.Helper()
	for _, kind := range []struct {
		name  string
		start func(testing.TB) blob.Config
	}{{"folder", Folder}, {"s3", S3}, {"gcs", GCS}, {"azure", Azure}} {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.start(t)) })
	}
}

// Open opens a bucket, which is closed when the test ends. The signed URLs of a folder are served by a server on loopback.
func Open(t testing.TB, cfg blob.Config) *blob.Bucket {
	t.Helper()
	var served atomic.Pointer[blob.Bucket]
	if cfg.URL == "" && cfg.ExternalURL == "" {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Load().Handler().ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		cfg.ExternalURL = server.URL
	}
	bucket, err := blob.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open the bucket: %v", err)
	}
	served.Store(bucket)
	t.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			t.Errorf("close the bucket: %v", err)
		}
	})
	return bucket
}

// Folder is a bucket in a new folder.
func Folder(t testing.TB) blob.Config {
	return blob.Config{DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
}

// S3 is a bucket of a new versitygw. Its host among clients is another one than ours.
func S3(t testing.TB) blob.Config {
	cfg, _ := S3In(t)
	return cfg
}

// S3In is the same with the folder in which the store keeps the bucket's objects as plain files: what is written there is in
// the bucket, which is how a benchmark gets a hundred thousand of them.
func S3In(t testing.TB) (cfg blob.Config, objects string) {
	t.Helper()
	program, err := goProgram("versitygw", gatewayModule)
	if err != nil {
		t.Fatalf("install versitygw: %v", err)
	}
	port := freePort(t)
	endpoint := "http://127.0.0.1:" + port
	root, sidecar := t.TempDir(), t.TempDir()
	start(t, endpoint, []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey}, program,
		"--port", "127.0.0.1:"+port, "posix", "--sidecar", sidecar, root)
	client := s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucketName)}); err != nil {
		t.Fatalf("create the bucket: %v", err)
	}
	return blob.Config{
		URL:              redact.Secret("s3://" + accessKey + ":" + secretKey + "@127.0.0.1:" + port + "/" + bucketName + "/some/path?tls=false"),
		ExternalEndpoint: "http://localhost:" + port, Logger: slog.New(slog.DiscardHandler),
	}, filepath.Join(root, bucketName, "some", "path")
}

// GCS is a bucket of a new fake-gcs-server, which checks no signature.
func GCS(t testing.TB) blob.Config {
	t.Helper()
	return gcs(t, "-backend", "memory")
}

// GCSIn is the same with the folder in which the store keeps the bucket's objects as plain files. Of each upload and of each
// object that it joins it holds all bytes in memory.
func GCSIn(t testing.TB) (cfg blob.Config, objects string) {
	t.Helper()
	root := t.TempDir()
	return gcs(t, "-backend", "filesystem", "-filesystem-root", root), filepath.Join(root, bucketName, "some", "path")
}

func gcs(t testing.TB, backend ...string) blob.Config {
	t.Helper()
	program, err := goProgram("fake-gcs-server", fakeGCSModule)
	if err != nil {
		t.Fatalf("install fake-gcs-server: %v", err)
	}
	port := freePort(t)
	endpoint := "http://127.0.0.1:" + port
	start(t, endpoint+"/storage/v1/b?project=test", nil, program, append(backend, "-scheme", "http", "-host", "127.0.0.1", "-port", port,
		"-public-host", "127.0.0.1:"+port, "-external-url", endpoint, "-log-level", "error", "-cors-headers", "Content-Type")...)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/storage/v1/b?project=test", strings.NewReader(`{"name":"`+bucketName+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("create the bucket: %v", err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Fatalf("create the bucket: %s", answer.Status)
	}
	return blob.Config{URL: "gs://" + bucketName + "/some/path", Endpoint: endpoint, Logger: slog.New(slog.DiscardHandler)}
}

// Azure is a container of a new Azurite.
func Azure(t testing.TB) blob.Config {
	t.Helper()
	cfg, _ := AzureIn(t)
	return cfg
}

// AzureIn is the same with the folder in which the store keeps everything.
func AzureIn(t testing.TB) (cfg blob.Config, folder string) {
	t.Helper()
	folder = t.TempDir()
	script, err := azurite()
	if err != nil {
		t.Fatalf("install Azurite: %v", err)
	}
	port := freePort(t)
	endpoint := "http://127.0.0.1:" + port + "/" + azureAccount
	start(t, endpoint, nil, "node", script, "--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder, "--silent",
		"--skipApiVersionCheck", "--disableTelemetry")
	key, err := container.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(endpoint+"/"+bucketName, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(context.WithoutCancel(t.Context()), nil); err != nil {
		t.Fatalf("create the container: %v", err)
	}
	return blob.Config{
		URL: redact.Secret("az://" + azureAccount + "/" + bucketName + "/some/path"), SecretKey: redact.Secret(azureKey),
		Endpoint: endpoint, Logger: slog.New(slog.DiscardHandler),
	}, folder
}
