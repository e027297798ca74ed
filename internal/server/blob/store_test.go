package blob_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/test/buckets"
)

// awkwardKeys are names of files that people have.
var awkwardKeys = map[string]string{
	"a plain one":                   "runs/12/files/config.yaml",
	"spaces and percent":            "runs/12/files/media/table/HT%3ML  %20.json",
	"a space at the end":            "runs/12/files/media/HT%3ML ",
	"the same without the space":    "runs/12/files/media/HT%3ML",
	"capitals":                      "runs/12/files/Model.PT",
	"the same in small letters":     "runs/12/files/model.pt",
	"letters beyond ASCII":          "runs/12/files/метрика/ß/日本語 😀.txt",
	"bytes that are no text":        "runs/12/files/\xff\xfe\x00\n\r\t.bin",
	"dots that climb":               "runs/12/files/../../../etc/passwd",
	"dots at the ends":              "runs/12/files/.hidden./x.",
	"slashes in a row":              "runs/12/files//a///b/",
	"what URLs and shells care for": "runs/12/files/a?b=c&d#e;f:g@h$i`j'k\"l\\m|n<o>p*q+r,s[t]{u}~!v",
	"a folder that is also a file":  "runs/12/files/config.yaml/inside",
	"a long part":                   "runs/12/files/" + strings.Repeat("x", 300) + ".json",
	"a long part like it":           "runs/12/files/" + strings.Repeat("x", 301) + ".json",
	"a long path":                   "runs/12/files/" + strings.Repeat("folder/", 500) + "end",
	"a long path of wide letters":   "runs/12/files/" + strings.Repeat("папка/", 300) + "end",
}

func TestObjectsComeBackAsTheyWere(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		awkwardKeys := maps.Clone(awkwardKeys)
		if strings.HasPrefix(cfg.URL.Reveal(), "s3:") {
			delete(awkwardKeys, "a folder that is also a file") // versitygw keeps objects as files of that name
		}
		for sentence, key := range awkwardKeys {
			body := []byte(sentence)
			if _, err := b.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{ContentType: "text/x-" + sentence[:1]}); err != nil {
				t.Fatalf("%s: put: %v", sentence, err)
			}
		}
		for sentence, key := range awkwardKeys {
			if got := string(read(t, b, key, 0, -1)); got != sentence {
				t.Errorf("%s: read %q", sentence, got)
			}
			object, err := b.Stat(t.Context(), key)
			if err != nil || object.Size != int64(len(sentence)) || object.ContentType != "text/x-"+sentence[:1] || object.Key != key || object.ETag == "" {
				t.Errorf("%s: stat %+v, %v", sentence, object, err)
			}
			if age := time.Since(object.Modified); age > time.Minute || age < -time.Minute {
				t.Errorf("%s: modified %v ago", sentence, age)
			}
			if sum := md5.Sum([]byte(sentence)); object.MD5 != nil && !bytes.Equal(object.MD5, sum[:]) {
				t.Errorf("%s: MD5 is %x, want %x", sentence, object.MD5, sum)
			}
			status, header, body := fetch(t, http.MethodGet, must(b.SignGet(t.Context(), key, blob.GetOptions{}))(t), nil, nil)
			if status != http.StatusOK || string(body) != sentence || header.Get("Content-Length") != fmt.Sprint(len(sentence)) {
				t.Errorf("%s: the signed URL gave %d %q", sentence, status, body)
			}
		}
	})
}

func TestBytesAreMovedAndChecked(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		large := bytes.Repeat([]byte("0123456789abcdef"), 20<<16) // 20 MiB, several buffers
		sum := md5.Sum(large)
		object, err := b.Put(t.Context(), "a/large", bytes.NewReader(large), int64(len(large)), blob.PutOptions{MD5: sum[:]})
		if err != nil || object.Size != int64(len(large)) || !bytes.Equal(object.MD5, sum[:]) {
			t.Fatalf("put: %+v, %v", object, err)
		}
		if !bytes.Equal(read(t, b, "a/large", 0, -1), large) {
			t.Error("a large object reads otherwise")
		}
		if got := read(t, b, "a/large", 17<<20+3, 5); string(got) != "34567" {
			t.Errorf("a part of it is %q", got)
		}
		if got := read(t, b, "a/large", int64(len(large))-2, 100); string(got) != "ef" {
			t.Errorf("its end is %q", got)
		}

		put(t, b, "a/empty", "")
		if got := read(t, b, "a/empty", 0, -1); len(got) != 0 {
			t.Errorf("an empty object has %d bytes", len(got))
		}
		put(t, b, "a/b", "first")
		put(t, b, "a/b", "the second is longer")
		if got := read(t, b, "a/b", 0, -1); string(got) != "the second is longer" {
			t.Errorf("after another put: %q", got)
		}

		for sentence, c := range map[string]struct {
			size int64
			sum  []byte
		}{
			"fewer bytes than announced": {100, nil}, "more bytes than announced": {3, nil}, "another MD5": {9, sum[:]},
		} {
			_, err := b.Put(t.Context(), "a/b", strings.NewReader("unwelcome"), c.size, blob.PutOptions{MD5: c.sum})
			if fault.Reason(err, "") != blob.ReasonMismatch {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if got := read(t, b, "a/b", 0, -1); string(got) != "the second is longer" {
			t.Errorf("after refused puts: %q", got)
		}
		if err := b.Copy(t.Context(), "a/b", "c/copy"); err != nil {
			t.Errorf("copy: %v", err)
		}
		blob.CopyInParts(b, 8<<20)
		if err := b.Copy(t.Context(), "a/large", "c/large"); err != nil {
			t.Errorf("copy in parts: %v", err)
		} else if !bytes.Equal(read(t, b, "c/large", 0, -1), large) {
			t.Error("the copy in parts is another object")
		}
		put(t, b, "a/b", "third")
		if got := read(t, b, "c/copy", 0, -1); string(got) != "the second is longer" {
			t.Errorf("the copy is %q", got)
		}
	})
}

func TestWhatIsNotThere(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		_, _, getErr := b.Get(t.Context(), "no/such", 0, -1)
		_, statErr := b.Stat(t.Context(), "no/such")
		for sentence, err := range map[string]error{
			"get": getErr, "stat": statErr, "copy": b.Copy(t.Context(), "no/such", "else"),
		} {
			if !errors.Is(err, blob.ErrNotFound) || fault.Reason(err, "") != blob.ReasonNotFound {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if err := b.Delete(t.Context(), "no/such", "nor/this"); err != nil {
			t.Errorf("delete: %v", err)
		}
		if err := b.DeletePrefix(t.Context(), "no/"); err != nil {
			t.Errorf("delete a folder: %v", err)
		}
		if status, _, _ := fetch(t, http.MethodGet, must(b.SignGet(t.Context(), "no/such", blob.GetOptions{}))(t), nil, nil); status != http.StatusNotFound {
			t.Errorf("the signed URL of nothing gave %d", status)
		}
		for sentence, key := range map[string]string{"an empty key": "", "a key without end": strings.Repeat("k", 9000)} {
			if _, err := b.Stat(t.Context(), key); fault.Reason(err, "") != blob.ReasonKeyInvalid {
				t.Errorf("%s: %v", sentence, err)
			}
		}
	})
}

func TestListsAndDeletions(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		long := "runs/1/" + strings.Repeat("long ", 300)
		for _, key := range []string{"runs/1/a", "runs/1/b/c d%", "runs/12/a", "runs/Über/x", long} {
			put(t, b, key, key)
		}
		if got := keys(t, b, "runs/1/"); !slices.Equal(got[:2], []string{"runs/1/a", "runs/1/b/c d%"}) || len(got) != 3 || !strings.HasPrefix(long, got[2]) {
			t.Errorf("runs/1/ holds %q", got)
		}
		if got := keys(t, b, "runs/Über/"); !slices.Equal(got, []string{"runs/Über/x"}) {
			t.Errorf("runs/Über/ holds %q", got)
		}
		if got := keys(t, b, ""); len(got) != 5 {
			t.Errorf("everything is %q", got)
		}
		if got := keys(t, b, "none/"); len(got) != 0 {
			t.Errorf("none/ holds %q", got)
		}
		if err := b.Delete(t.Context(), "runs/1/a"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Stat(t.Context(), "runs/1/a"); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("a deleted object: %v", err)
		}
		if err := b.DeletePrefix(t.Context(), "runs/1/"); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, b, ""); !slices.Equal(got, []string{"runs/12/a", "runs/Über/x"}) {
			t.Errorf("after deleting runs/1/: %q", got)
		}
		if err := b.DeletePrefix(t.Context(), "runs"); fault.Reason(err, "") != blob.ReasonKeyInvalid {
			t.Errorf("a prefix that is no folder: %v", err)
		}
		put(t, b, "runs/1/a", "again") // the folder was removed with its last object
	})
}

func TestSignedUploads(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		const key, body = "runs/12/files/a b%.json", `{"a":1}`
		sum := md5.Sum([]byte(body))
		signed := must(b.SignPut(t.Context(), key, blob.PutOptions{ContentType: "application/json", MD5: sum[:]}))(t)
		azure := slices.Contains(signed.Headers, "x-ms-blob-type:BlockBlob")
		if azure != strings.Contains(cfg.Endpoint, "devstoreaccount1") {
			t.Errorf("headers are %q", signed.Headers)
		}
		// The client attaches a key to any URL of a host that it has one for; only our own store sees that.
		var extra map[string]string
		if cfg.URL == "" {
			extra = map[string]string{"Authorization": "Basic dXNlcjprZXk=", "Cookie": "wandb_session=x"}
		}
		for _, text := range []string{"", body, body} {
			headers := signed.Headers
			if text == "" {
				headers = slices.DeleteFunc(slices.Clone(headers), func(h string) bool { return strings.HasPrefix(h, "Content-MD5") })
			}
			status, header, answer := fetch(t, http.MethodPut, signed.URL, send(headers, extra), strings.NewReader(text))
			if status/100 != 2 || header.Get("ETag") == "" && !isGoogle(cfg) {
				t.Fatalf("PUT of %q: %d %s, ETag %q", text, status, answer, header.Get("ETag"))
			}
			if cookies := header.Values("Set-Cookie"); len(cookies) > 0 {
				t.Errorf("a store sets cookies: %q", cookies)
			}
			if object, err := b.Stat(t.Context(), key); err != nil || object.Size != int64(len(text)) || object.ContentType != "application/json" {
				t.Errorf("after PUT of %q: %+v, %v", text, object, err)
			}
		}
		if !isGoogle(cfg) { // fake-gcs-server does not look at Content-MD5
			if status, _, _ := fetch(t, http.MethodPut, signed.URL, send(signed.Headers, nil), strings.NewReader(`{"a":2}`)); status != http.StatusBadRequest {
				t.Errorf("a body with another MD5 was answered %d", status)
			}
		}
		if got := read(t, b, key, 0, -1); string(got) != body {
			t.Errorf("at last: %q", got)
		}
	})
}

func TestSignedDownloads(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		put(t, b, "a/object", "0123456789")
		put(t, b, "a/empty", "")
		signed := must(b.SignGet(t.Context(), "a/object", blob.GetOptions{}))(t)
		status, header, body := fetch(t, http.MethodGet, signed, map[string]string{"Range": "bytes=2-4"}, nil)
		if status != http.StatusPartialContent || string(body) != "234" || header.Get("Content-Range") != "bytes 2-4/10" {
			t.Errorf("a range: %d %q %q", status, body, header.Get("Content-Range"))
		}
		status, header, body = fetch(t, http.MethodGet, signed, map[string]string{"Range": "bytes=7-"}, nil)
		if status != http.StatusPartialContent || string(body) != "789" {
			t.Errorf("the rest: %d %q %v", status, body, header)
		}
		if status, header, body = fetch(t, http.MethodGet, signed, nil, nil); status != http.StatusOK || string(body) != "0123456789" ||
			header.Get("ETag") == "" || header.Get("Last-Modified") == "" || header.Get("Accept-Ranges") == "" && cfg.URL == "" {
			t.Errorf("the whole: %d %q %v", status, body, header)
		}
		if status, header, body = fetch(t, http.MethodGet, must(b.SignGet(t.Context(), "a/empty", blob.GetOptions{}))(t), nil, nil); status != http.StatusOK ||
			len(body) != 0 || header.Get("Content-Length") != "0" {
			t.Errorf("an empty object: %d %q %v", status, body, header)
		}
		if isGoogle(cfg) {
			return // what follows is not made by fake-gcs-server
		}
		shaped := must(b.SignGet(t.Context(), "a/object", blob.GetOptions{ContentType: "text/csv", Disposition: `attachment; filename="a b.csv"`}))(t)
		if status, header, _ = fetch(t, http.MethodGet, shaped, nil, nil); status != http.StatusOK || header.Get("Content-Type") != "text/csv" ||
			header.Get("Content-Disposition") != `attachment; filename="a b.csv"` {
			t.Errorf("the shaped answer: %d %v", status, header)
		}
	})
}

func TestSignaturesAreEnforced(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		if isGoogle(cfg) {
			t.Skip("fake-gcs-server checks no signature: TestGoogleSignatures verifies ours with the public key")
		}
		b := buckets.Open(t, cfg)
		put(t, b, "a/object", "secret")
		put(t, b, "a/other", "other")
		get := must(b.SignGet(t.Context(), "a/object", blob.GetOptions{}))(t)
		upload := must(b.SignPut(t.Context(), "a/object", blob.PutOptions{}))(t)
		brief := must(b.SignGet(t.Context(), "a/object", blob.GetOptions{Expiry: time.Second}))(t)
		bare, _, _ := strings.Cut(get, "?")
		for sentence, c := range map[string]struct{ method, url string }{
			"no signature":        {http.MethodGet, bare},
			"another object":      {http.MethodGet, strings.Replace(get, "/object", "/other", 1)},
			"another method":      {http.MethodPut, get},
			"a delete":            {http.MethodDelete, upload.URL},
			"a changed signature": {http.MethodGet, swapSignature(t, get)},
		} {
			if status, _, body := fetch(t, c.method, c.url, map[string]string{"x-ms-blob-type": "BlockBlob"}, strings.NewReader("forged")); status/100 == 2 || strings.Contains(string(body), "secret") {
				t.Errorf("%s: %d %s", sentence, status, body)
			}
		}
		await(t, "an expired URL is refused", func() bool {
			status, _, _ := fetch(t, http.MethodGet, brief, nil, nil)
			return status == http.StatusForbidden
		})
		if got := read(t, b, "a/object", 0, -1); string(got) != "secret" {
			t.Errorf("after forgeries: %q", got)
		}
	})
}

func TestBrowsersMayUseTheBucket(t *testing.T) {
	const origin = "https://wandb.example.test"
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		before := must(b.EnsureCORS(t.Context(), []string{origin}))(t)
		if !before.Allowed || before.Refusal != nil {
			t.Fatalf("first: %+v", before)
		}
		if strings.HasPrefix(cfg.URL.Reveal(), "s3:") || strings.HasPrefix(cfg.URL.Reveal(), "az:") {
			again := must(b.EnsureCORS(t.Context(), []string{origin}))(t)
			if !before.Changed || again.Changed || !again.Allowed {
				t.Errorf("first %+v, then %+v", before, again)
			}
		}
		put(t, b, "a/object", "x")
		for method, address := range map[string]string{
			http.MethodGet: must(b.SignGet(t.Context(), "a/object", blob.GetOptions{}))(t),
			http.MethodPut: must(b.SignPut(t.Context(), "a/object", blob.PutOptions{}))(t).URL,
		} {
			status, header, _ := fetch(t, http.MethodOptions, address, map[string]string{"Origin": origin, "Access-Control-Request-Method": method}, nil)
			if allowed := header.Get("Access-Control-Allow-Origin"); status/100 != 2 || allowed != origin && allowed != "*" {
				t.Errorf("preflight of %s: %d %v", method, status, header)
			}
			if header.Get("Access-Control-Allow-Origin") == "*" && header.Get("Access-Control-Allow-Credentials") != "" && !isGoogle(cfg) {
				t.Errorf("preflight of %s: everybody may come with credentials", method)
			}
		}
		signed := must(b.SignGet(t.Context(), "a/object", blob.GetOptions{}))(t)
		_, header, _ := fetch(t, http.MethodGet, signed, map[string]string{"Origin": origin}, nil)
		exposed := strings.ToLower(strings.Join(header.Values("Access-Control-Expose-Headers"), ","))
		if allowed := header.Get("Access-Control-Allow-Origin"); allowed != origin && allowed != "*" {
			t.Errorf("GET from a page: %v", header)
		} else if !strings.Contains(exposed, "etag") && exposed != "*" && !isGoogle(cfg) {
			t.Errorf("the page does not see the ETag: %v", header)
		}
	})
}

func TestCheckSaysWhatToDo(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		if err := b.Check(t.Context()); err != nil {
			t.Fatalf("a good bucket: %v", err)
		}
		if left := keys(t, b, ""); len(left) != 0 {
			t.Errorf("the check leaves %q", left)
		}
		if cfg.URL == "" {
			return
		}
		missing := cfg
		missing.URL = redact.Secret(strings.Replace(cfg.URL.Reveal(), "/objects", "/not-there", 1))
		err := buckets.Open(t, missing).Check(t.Context())
		if fault.Reason(err, "") != blob.ReasonMissing || !strings.Contains(fault.Hint(err), "BUCKET") {
			t.Errorf("a bucket that does not exist: %s %s", fault.Reason(err, ""), fault.Message(err))
		}
		if isGoogle(cfg) {
			return // the emulator lets everybody in
		}
		wrong := cfg
		wrong.AccessKey, wrong.SecretKey = "AKIATESTACCESSKEY", "d3JvbmctY2FuYXJ5"
		err = buckets.Open(t, wrong).Check(t.Context())
		if fault.Reason(err, "") != blob.ReasonForbidden || !strings.Contains(fault.Hint(err), "BUCKET_SECRET_KEY") {
			t.Errorf("a wrong key: %s %s", fault.Reason(err, ""), fault.Message(err))
		}
		if strings.Contains(fault.Message(err), "canary") || strings.Contains(fault.Message(err), wrong.SecretKey.Reveal()) {
			t.Errorf("the error shows a secret: %s", fault.Message(err))
		}
	})
}

// isGoogle tells that a store is fake-gcs-server, which answers some requests otherwise than Google: no ETag to a PUT, no
// check of signature and Content-MD5, and CORS rules of its own.
func isGoogle(cfg blob.Config) bool { return strings.HasPrefix(cfg.URL.Reveal(), "gs:") }

func send(headers []string, extra map[string]string) map[string]string {
	all := map[string]string{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		all[name] = value
	}
	for name, value := range extra {
		all[name] = value
	}
	return all
}

func put(t testing.TB, b *blob.Bucket, key, body string) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func read(t testing.TB, b *blob.Bucket, key string, offset, length int64) []byte {
	t.Helper()
	r, _, err := b.Get(t.Context(), key, offset, length)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	body, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return body
}

func keys(t testing.TB, b *blob.Bucket, folder string) []string {
	t.Helper()
	var found []string
	for object, err := range b.List(t.Context(), folder) {
		if err != nil {
			t.Fatalf("list %s: %v", folder, err)
		}
		found = append(found, object.Key)
	}
	slices.Sort(found)
	return found
}

func fetch(t testing.TB, method, address string, headers map[string]string, body io.Reader) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return answer.StatusCode, answer.Header, text
}

// must takes the value of a call that returns one and an error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func await(t testing.TB, sentence string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Errorf("not within 20 s: %s", sentence)
			return
		case <-tick.C:
		}
	}
}

// swapSignature changes the first character of the signature, whatever the parameter is called.
func swapSignature(t testing.TB, address string) string {
	t.Helper()
	u := must(url.Parse(address))(t)
	query := u.Query()
	for _, name := range []string{"signature", "X-Amz-Signature", "sig"} {
		if text := query.Get(name); text != "" {
			first := "0"
			if text[0] == '0' {
				first = "1"
			}
			query.Set(name, first+text[1:])
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}
