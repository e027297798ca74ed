package blob

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// canonical is the text that a V4 signature of Google covers, made from a request as its documentation says.
func canonical(t *testing.T, method string, u *url.URL) string {
	t.Helper()
	query := u.Query()
	query.Del("X-Goog-Signature")
	request := strings.Join([]string{
		method, u.EscapedPath(), strings.ReplaceAll(query.Encode(), "+", "%20"), "host:" + u.Host, "", "host", "UNSIGNED-PAYLOAD",
	}, "\n")
	sum := sha256.Sum256([]byte(request))
	_, scope, _ := strings.Cut(query.Get("X-Goog-Credential"), "/")
	return strings.Join([]string{"GOOG4-RSA-SHA256", query.Get("X-Goog-Date"), scope, hex.EncodeToString(sum[:])}, "\n")
}

func verifyGoogle(t *testing.T, key *rsa.PublicKey, method, address, email string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := hex.DecodeString(u.Query().Get("X-Goog-Signature"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(canonical(t, method, u)))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		t.Errorf("%s %s: %v", method, address, err)
	}
	if !strings.HasPrefix(u.Query().Get("X-Goog-Credential"), email+"/") || u.Query().Get("X-Goog-Expires") != "3599" && u.Query().Get("X-Goog-Expires") != "3600" {
		t.Errorf("query is %v", u.Query())
	}
}

// TestGoogleSignatures covers what no emulator checks: a key file, and a signature that IAM makes.
func TestGoogleSignatures(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	google := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token":"t","token_type":"Bearer","expires_in":3600}`)
			return
		}
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // IAM has its moments
			return
		}
		var request struct{ Payload string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil || !strings.HasSuffix(r.URL.Path, "/serviceAccounts/pod@example.test:signBlob") {
			t.Errorf("asked for %s: %v", r.URL.Path, err)
		}
		text, _ := base64.StdEncoding.DecodeString(request.Payload)
		sum := sha256.Sum256(text)
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"signedBlob": base64.StdEncoding.EncodeToString(signature)})
	}))
	t.Cleanup(google.Close)

	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "file@example.test", "token_uri": google.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), Config{URL: "gs://bucket/path", CredentialsFile: file, ExternalEndpoint: "https://storage.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	store, _ := b.driver.(*gcsStore)
	for sentence, prepare := range map[string]func() string{
		"a key file": func() string { return "file@example.test" },
		"no key": func() string {
			store.identity, err = keyless(t.Context(), "pod@example.test", google.Client(), google.URL)
			if err != nil {
				t.Fatal(err)
			}
			return "pod@example.test"
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			before := store.identity
			defer func() { store.identity = before }()
			email := prepare()
			get, err := b.SignGet(t.Context(), "a b/ü%.txt", GetOptions{Expiry: time.Hour, Disposition: `attachment; filename="ü b"`})
			if err != nil {
				t.Fatal(err)
			}
			verifyGoogle(t, &key.PublicKey, http.MethodGet, get, email)
			put, err := b.SignPut(t.Context(), "a b/ü%.txt", PutOptions{Expiry: time.Hour, ContentType: "text/plain"})
			if err != nil {
				t.Fatal(err)
			}
			verifyGoogle(t, &key.PublicKey, http.MethodPut, put.URL, email)
			if !strings.HasPrefix(get, "https://storage.example.test/bucket/path/") {
				t.Errorf("the URL is %s", get)
			}
		})
	}
}

// TestAzureSignsWithALentKey covers an account without a key, which Azurite knows only over TLS with tokens of its own.
func TestAzureSignsWithALentKey(t *testing.T) {
	now := time.Now()
	a := &azureStore{place: place{kind: kindAzure, account: "acc", bucket: "con", endpoint: "https://acc.example.test"}, now: func() time.Time { return now }}
	var lent atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("comp") != "userdelegationkey" {
			t.Errorf("asked for %s", r.URL)
		}
		lent.Add(1)
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>`+
			`<SignedStart>`+now.UTC().Format(time.RFC3339)+`</SignedStart><SignedExpiry>`+now.Add(MaxExpiry).UTC().Format(time.RFC3339)+`</SignedExpiry>`+
			`<SignedService>b</SignedService><SignedVersion>2020-02-10</SignedVersion><Value>`+base64.StdEncoding.EncodeToString([]byte("secret"))+`</Value></UserDelegationKey>`)
	}))
	t.Cleanup(server.Close)
	a.service = lenderOf(t, server)
	for i, expiry := range []time.Duration{time.Hour, DefaultExpiry, MaxExpiry} {
		signed, err := a.signPut(t.Context(), "runs/1/x", PutOptions{Expiry: expiry})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed.URL)
		if err != nil {
			t.Fatal(err)
		}
		query := u.Query()
		if query.Get("skoid") != "oid" || query.Get("sp") != "cw" || query.Get("spr") != "https" || query.Get("sig") == "" || u.Path != "/con/runs/1/x" {
			t.Errorf("the URL is %s", signed.URL)
		}
		until, err := time.Parse(time.RFC3339, query.Get("se"))
		if err != nil || until.After(now.Add(MaxExpiry)) || until.Before(now.Add(expiry-clockSkew-time.Second)) {
			t.Errorf("URL %d lives until %v, %v", i, until, err)
		}
		if !slices.Contains(signed.Headers, azureWrite) {
			t.Errorf("headers are %q", signed.Headers)
		}
	}
	if n := lent.Load(); n != 1 {
		t.Errorf("%d keys were asked for", n)
	}
	now = now.Add(6*24*time.Hour + 12*time.Hour)
	if _, err := a.signGet(context.Background(), "x", GetOptions{Expiry: DefaultExpiry}); err != nil || lent.Load() != 2 {
		t.Errorf("near the end of a key: %v, %d keys", err, lent.Load())
	}
}
