package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/test/buckets"
)

func TestObjectsAreServedToWhoeverHoldsTheURL(t *testing.T) {
	s := start(t, nil)
	signed, err := s.bucket.SignPut(t.Context(), "runs/1/files/a b.html", blob.PutOptions{ContentType: "text/html"})
	if err != nil {
		t.Fatal(err)
	}
	const external = "https://wandb.example.test"
	if !strings.HasPrefix(signed.URL, external+"/storage/") {
		t.Fatalf("the URL is %s", signed.URL)
	}
	path := strings.TrimPrefix(signed.URL, external)
	// A page of another site, with a cookie and a key that nobody has: none of it counts.
	foreign := map[string]string{
		"Origin": "https://evil.example.test", "Sec-Fetch-Site": "cross-site", "Cookie": "wandb_session=x", "Authorization": "Basic dXNlcjpub2JvZHk=",
		"Content-Type": "text/html",
	}
	if a := s.do(t, http.DefaultClient, call{method: "PUT", path: path, body: "<b>hello</b>", header: foreign}); a.code != http.StatusOK || a.header.Get("ETag") == "" {
		t.Fatalf("PUT: %d %s", a.code, a.body)
	}
	get, err := s.bucket.SignGet(t.Context(), "runs/1/files/a b.html", blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := s.do(t, http.DefaultClient, call{path: strings.TrimPrefix(get, external), header: foreign})
	if a.code != http.StatusOK || a.body != "<b>hello</b>" || a.header.Get("Content-Security-Policy") != "sandbox" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("GET: %d %v %s", a.code, a.header, a.body)
	}
	if a := s.do(t, http.DefaultClient, call{method: "OPTIONS", path: "/storage/anything", header: foreign}); a.code != http.StatusNoContent ||
		a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("OPTIONS: %d %v", a.code, a.header)
	}
	if a := s.do(t, http.DefaultClient, call{path: "/storage/runs/1/files/a=20b.html"}); a.code != http.StatusForbidden {
		t.Errorf("without a signature: %d %s", a.code, a.body)
	}
	_, signature, _ := strings.Cut(get, "signature=")
	if logged := s.logs.String(); strings.Contains(logged, signature) || !strings.Contains(logged, `"path":"/storage/`) {
		t.Error("the access log misses the request, or shows its signature")
	}
	metrics := s.metrics(t)
	for _, want := range []string{
		`wandb_bucket_operation_duration_seconds_count{operation="sign",outcome="ok"}`, `wandb_http_request_duration_seconds_count{code="200",route="/storage/"}`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics miss %s", want)
		}
	}
}

func (s running) metrics(t testing.TB) string {
	t.Helper()
	elsewhere := s
	elsewhere.url = s.metricsURL
	return elsewhere.do(t, http.DefaultClient, call{path: "/metrics"}).body
}

func TestReadyTellsOfTheBucket(t *testing.T) {
	var answer struct {
		Status, Reason, Hint string
		Bucket               struct{ Kind, Status, Reason, Hint string }
	}
	t.Run("one that works", func(t *testing.T) {
		bucket := buckets.S3(t)
		s := start(t, func(cfg *server.Config) { cfg.Bucket = bucket })
		s.do(t, http.DefaultClient, call{path: "/ready"}).decode(t, &answer)
		if answer.Bucket.Kind != "S3" || answer.Bucket.Status != "ready" {
			t.Errorf("ready: %+v", answer)
		}
		if a := s.do(t, http.DefaultClient, call{path: "/storage/x?signature=y"}); a.code != http.StatusNotFound {
			t.Errorf("/storage/ of a server with a bucket: %d", a.code)
		}
		deadline := time.Now().Add(20 * time.Second)
		for !strings.Contains(s.logs.String(), "browsers may use the bucket") {
			if time.Now().After(deadline) {
				t.Fatalf("CORS is not set: %s", s.logs)
			}
			s.do(t, http.DefaultClient, call{path: "/ready"})
		}
	})
	t.Run("one that is not there", func(t *testing.T) {
		s := startUnready(t, func(cfg *server.Config) { cfg.Bucket = blob.Config{URL: "s3://key:canary@127.0.0.1:1/objects"} })
		answer.Bucket.Status = ""
		for deadline := time.Now().Add(40 * time.Second); answer.Bucket.Status != "failing" && time.Now().Before(deadline); {
			a := s.do(t, http.DefaultClient, call{path: "/ready"})
			if a.decode(t, &answer); a.code != http.StatusServiceUnavailable {
				t.Fatalf("ready: %d %s", a.code, a.body)
			}
		}
		if answer.Bucket.Status != "failing" || answer.Bucket.Reason != blob.ReasonUnreachable || !strings.Contains(answer.Bucket.Hint, "network policy") {
			t.Errorf("ready: %+v", answer)
		}
		if strings.Contains(s.logs.String(), "canary") {
			t.Error("the log shows the secret")
		}
	})
	t.Run("one that is misspelt", func(t *testing.T) {
		cfg := config(t, &logs{})
		cfg.Bucket.URL = "s4://canary"
		if _, err := server.New(t.Context(), cfg); fault.Reason(err, "") != blob.ReasonConfigInvalid || strings.Contains(fault.Message(err), "canary") {
			t.Errorf("new: %v", err)
		}
	})
}
