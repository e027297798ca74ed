package preflight

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// shop is a store with as much of S3's protocol as the check speaks: it keeps one bucket, looks at the access key alone
// and answers refusals as AWS does.
type shop struct {
	mu      sync.Mutex
	objects map[string][]byte
	headers http.Header // of the last object that was written
	// refuse maps methods to codes of S3.
	refuse map[string]string
	// spoil changes what is given back.
	spoil bool
	// origin is allowed by CORS; empty allows nobody.
	origin string
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// An answer before the body was read would meet the client in the middle of its write.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	if r.Method == http.MethodOptions {
		if s.origin == "" {
			http.Error(w, "no rule", http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", s.origin)
		w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, PUT")
		return
	}
	code := s.refuse[r.Method]
	switch {
	case code != "":
	case key != "canary-access":
		code = "InvalidAccessKeyId"
	case !strings.HasPrefix(r.URL.Path, "/data/"):
		code = "NoSuchBucket"
	case r.Method == http.MethodGet && s.objects[r.URL.Path] == nil && !r.URL.Query().Has("location"):
		code = "NoSuchKey"
	}
	if code != "" {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>Refused %s.</Message></Error>", code, key)
		return
	}
	switch {
	case r.URL.Query().Has("location"):
		_, _ = io.WriteString(w, "<LocationConstraint>eu-central-1</LocationConstraint>")
	case r.Method == http.MethodPut:
		s.objects[r.URL.Path], s.headers = payload(body, r.Header), r.Header
		w.Header().Set("ETag", `"0"`)
	case r.Method == http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		stored := s.objects[r.URL.Path]
		if s.spoil {
			stored = []byte(strings.ToUpper(string(stored)))
		}
		w.Header().Set("ETag", `"0"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		_, _ = w.Write(stored)
	}
}

// payload takes the one chunk out of a body that is sent in signed chunks, as it is where TLS does not protect it.
func payload(body []byte, header http.Header) []byte {
	if !strings.HasPrefix(header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return body
	}
	_, rest, _ := strings.Cut(string(body), "\r\n")
	chunk, _, _ := strings.Cut(rest, "\r\n")
	return []byte(chunk)
}

func openShop(t *testing.T, encrypted bool) (store *shop, server *httptest.Server) {
	t.Helper()
	store = &shop{objects: map[string][]byte{}, refuse: map[string]string{}, origin: "https://wandb.example.com"}
	server = httptest.NewUnstartedServer(store)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if encrypted {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return store, server
}

// bucketInput points at a store, with keys in a Secret.
func bucketInput(t *testing.T, server *httptest.Server, path string) Input {
	t.Helper()
	in := input(t, fmt.Sprintf(`
global:
  host: https://wandb.example.com
  bucket: {name: %q, path: %q, region: eu-central-1, secret: {secretName: keys}}
`, strings.TrimPrefix(strings.TrimPrefix(server.URL, "http://"), "https://"), path))
	in.Keys = fixedKeys{"keys/ACCESS_KEY": "canary-access", "keys/SECRET_KEY": "canary-secret-of-the-bucket"}
	in.Transport = nil
	return in
}

func TestABucketIsWrittenReadAndLeftClean(t *testing.T) {
	store, server := openShop(t, false)
	in := bucketInput(t, server, "data/team")
	section(in.Values, "global", "bucket")["kmsKey"] = "alias/wandb"
	report := Run(t.Context(), in)
	expect(t, "access", named(t, report, BucketAccess), Passed, "wrote, read and removed")
	expect(t, "cors", named(t, report, BucketCORS), Passed, "https://wandb.example.com")
	if len(store.objects) != 0 {
		t.Errorf("left behind: %v", store.objects)
	}
	if store.headers.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "alias/wandb" {
		t.Errorf("the object was not encrypted with the key: %v", store.headers)
	}
}

func TestFindingsInBuckets(t *testing.T) {
	for sentence, c := range map[string]struct {
		change       func(*shop, *Input)
		access, cors Result
		part         string
	}{
		"no right to write":      {func(s *shop, _ *Input) { s.refuse["PUT"] = "AccessDenied" }, Failed, Skipped, "Allow s3:PutObject"},
		"no right to read":       {func(s *shop, _ *Input) { s.refuse["GET"] = "AccessDenied" }, Failed, Skipped, "Allow s3:GetObject"},
		"no right to remove":     {func(s *shop, _ *Input) { s.refuse["DELETE"] = "AccessDenied" }, Warning, Passed, "Allow s3:DeleteObject"},
		"keys of somebody else":  {func(_ *shop, in *Input) { in.Keys.(fixedKeys)["keys/ACCESS_KEY"] = "canary-other" }, Failed, Skipped, "set both again"},
		"a wrong region":         {func(s *shop, _ *Input) { s.refuse["PUT"] = "AuthorizationHeaderMalformed" }, Failed, Skipped, "Set region"},
		"a key that is disabled": {func(s *shop, _ *Input) { s.refuse["PUT"] = "KMS.DisabledException" }, Failed, Skipped, "Check kmsKey"},
		"a proxy that rewrites":  {func(s *shop, _ *Input) { s.spoil = true }, Failed, Skipped, "proxy"},
		"no rule for browsers":   {func(s *shop, _ *Input) { s.origin = "" }, Passed, Warning, "wrote, read"},
		"another bucket": {func(_ *shop, in *Input) {
			section(in.Values, "global", "bucket")["path"] = "other"
		}, Failed, Skipped, "Make the bucket"},
	} {
		store, server := openShop(t, false)
		in := bucketInput(t, server, "data")
		c.change(store, &in)
		report := Run(t.Context(), in)
		expect(t, sentence, named(t, report, BucketAccess), c.access, c.part)
		expect(t, sentence, named(t, report, BucketCORS), c.cors, "")
		if strings.Contains(report.Text(), "canary") {
			t.Errorf("%s: a key is in\n%s", sentence, report.Text())
		}
	}
}

func TestTheRuleThatIsMissingIsNamed(t *testing.T) {
	store, server := openShop(t, false)
	store.origin = "https://other.example.com"
	got := named(t, Run(t.Context(), bucketInput(t, server, "data")), BucketCORS)
	expect(t, "cors", got, Warning, `"AllowedOrigins":["https://wandb.example.com"],"AllowedMethods":["GET","HEAD","PUT"]`)
}

func TestAStoreThatIsAway(t *testing.T) {
	_, server := openShop(t, false)
	in := bucketInput(t, server, "data")
	server.Close()
	expect(t, "for a pod", named(t, Run(t.Context(), in), BucketAccess), Failed, "is not reached")
	in.Outside = true
	expect(t, "for a person", named(t, Run(t.Context(), in), BucketAccess), Skipped, "pods may reach it")
}

func TestCertificatesOfTheInstallationAreTrusted(t *testing.T) {
	_, server := openShop(t, true)
	in := bucketInput(t, server, "data?tls=true")
	expect(t, "unknown authority", named(t, Run(t.Context(), in), BucketAccess), Failed, "certificate")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	section(in.Values, "global")["customCACerts"] = []any{string(authority)}
	expect(t, "known authority", named(t, Run(t.Context(), in), BucketAccess), Passed, "wrote, read")
}
