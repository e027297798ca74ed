package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTestFolder(t testing.TB, dir string) *folder {
	t.Helper()
	f, err := openFolder(dir, Config{
		ExternalURL: "https://wandb.example.test/", Logger: slog.New(slog.DiscardHandler), now: time.Now, stall: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	return f
}

func ask(f *folder, method, address string, header map[string]string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, address, body)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestTheHandlerAnswersLikeAStore(t *testing.T) {
	f := openTestFolder(t, t.TempDir())
	const body = "<script>alert(1)</script>"
	sum := fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum([]byte(body))))
	put, err := f.signPut(t.Context(), "runs/1/x.html", PutOptions{Expiry: time.Hour})
	if err != nil || !strings.HasPrefix(put.URL, "https://wandb.example.test/storage/runs/1/x.html?") || put.Headers == nil {
		t.Fatalf("signed %+v, %v", put, err)
	}
	// The host of the request and a key of its sender mean nothing.
	foreign := strings.Replace(put.URL, "wandb.example.test", "evil.example.test", 1)
	if w := ask(f, "PUT", foreign, map[string]string{"Content-Type": "text/html", "Authorization": "Basic eDp5", "Cookie": "wandb_session=x"}, strings.NewReader(body)); w.Code != 200 ||
		w.Header().Get("ETag") != sum || w.Body.Len() != 0 || len(w.Header().Values("Set-Cookie")) > 0 {
		t.Fatalf("PUT: %d %v %s", w.Code, w.Header(), w.Body)
	}
	get, _ := f.signGet(t.Context(), "runs/1/x.html", GetOptions{Expiry: time.Hour})
	for method, want := range map[string]string{"GET": body, "HEAD": ""} {
		w := ask(f, method, get, nil, nil)
		h := w.Header()
		if w.Code != 200 || w.Body.String() != want || h.Get("Content-Length") != "25" || h.Get("ETag") != sum || h.Get("Last-Modified") == "" ||
			h.Get("Content-Type") != "text/html" || h.Get("Accept-Ranges") != "bytes" {
			t.Errorf("%s: %d %v %q", method, w.Code, h, w.Body)
		}
		if h.Get("Content-Security-Policy") != "sandbox" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "*" ||
			h.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "ETag") {
			t.Errorf("%s: headers %v", method, h)
		}
	}
	for sentence, c := range map[string]struct {
		method string
		header map[string]string
		code   int
		body   string
	}{
		"a range":                  {"GET", map[string]string{"Range": "bytes=1-6"}, 206, "script"},
		"a range beyond the end":   {"GET", map[string]string{"Range": "bytes=99-"}, 416, ""},
		"what is known already":    {"GET", map[string]string{"If-None-Match": sum}, 304, ""},
		"a preflight":              {"OPTIONS", map[string]string{"Origin": "https://x.test"}, 204, ""},
		"a deletion":               {"DELETE", nil, 405, "Objects are read"},
		"a post":                   {"POST", nil, 405, "Objects are read"},
		"a put with a get's grant": {"PUT", nil, 403, "signature"},
	} {
		if w := ask(f, c.method, get, c.header, nil); w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: %d %q", sentence, w.Code, w.Body)
		}
	}
	bare, _, _ := strings.Cut(get, "?")
	if w := ask(f, "OPTIONS", bare, nil, nil); w.Code != 204 || !strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("a preflight without signature: %d %v", w.Code, w.Header())
	}
}

func TestRefusedUploadsChangeNothing(t *testing.T) {
	f := openTestFolder(t, t.TempDir())
	if err := f.put(t.Context(), "x", strings.NewReader("before"), 6, PutOptions{}); err != nil {
		t.Fatal(err)
	}
	signed, _ := f.signPut(t.Context(), "x", PutOptions{Expiry: time.Hour})
	other := md5.Sum([]byte("other"))
	for sentence, c := range map[string]struct {
		header map[string]string
		body   io.Reader
		code   int
	}{
		"another MD5":           {map[string]string{"Content-MD5": base64.StdEncoding.EncodeToString(other[:])}, strings.NewReader("after"), 400},
		"an MD5 that is none":   {map[string]string{"Content-MD5": "x"}, strings.NewReader("after"), 400},
		"a broken connection":   {nil, io.MultiReader(strings.NewReader("af"), broken{}), 408},
		"a part of no upload":   {nil, strings.NewReader("after"), 404},
		"an upload that lapsed": {nil, strings.NewReader("after"), 403},
	} {
		address := signed.URL
		switch sentence {
		case "a part of no upload":
			part, err := f.signPart(t.Context(), "x", strings.Repeat("A", 26), 1, PutOptions{Expiry: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			address = part.URL
		case "an upload that lapsed":
			old, _ := f.signPut(t.Context(), "x", PutOptions{Expiry: -time.Second})
			address = old.URL
		}
		if w := ask(f, "PUT", address, c.header, c.body); w.Code != c.code || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s", sentence, w.Code, w.Body)
		}
	}
	if r, _, err := f.get(t.Context(), "x", 0, -1); err != nil {
		t.Error(err)
	} else if text, _ := io.ReadAll(r); string(text) != "before" || r.Close() != nil {
		t.Errorf("the object is %q", text)
	}
	if entries, err := os.ReadDir(filepath.Join(f.path, tempDir)); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnUploadThatComesLateReplacesNoNewerOne(t *testing.T) {
	f := openTestFolder(t, t.TempDir())
	sign := func(expiry time.Duration) string {
		put, err := f.signPut(t.Context(), "x", PutOptions{Expiry: expiry})
		if err != nil {
			t.Fatal(err)
		}
		return put.URL
	}
	older, newer := sign(time.Hour), sign(time.Hour+time.Millisecond)
	for i, upload := range []struct{ address, body, want string }{
		{older, "old", "old"}, {older, "old, sent again", "old, sent again"}, {newer, "new", "new"}, {older, "late", "new"}, {newer, "newest", "newest"},
	} {
		sum := fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum([]byte(upload.body))))
		if w := ask(f, "PUT", upload.address, nil, strings.NewReader(upload.body)); w.Code != http.StatusOK || w.Header().Get("ETag") != sum {
			t.Errorf("upload %d: %d %v", i, w.Code, w.Header())
		}
		r, _, err := f.get(t.Context(), "x", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(got) != upload.want {
			t.Errorf("upload %d left %q, %v", i, got, err)
		}
	}
}

func TestOneKeySignsForAFolder(t *testing.T) {
	dir := t.TempDir()
	folders := make([]*folder, 8)
	var group sync.WaitGroup
	for i := range folders {
		group.Go(func() { folders[i] = openTestFolder(t, dir) })
	}
	group.Wait()
	signed, _ := folders[0].signGet(t.Context(), "x", GetOptions{Expiry: time.Hour})
	for _, f := range append(folders, openTestFolder(t, dir)) {
		if w := ask(f, "GET", signed, nil, nil); w.Code != http.StatusNotFound {
			t.Errorf("a process beside it answers %d %s", w.Code, w.Body)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 || info.Size() != keyLen {
		t.Errorf("the key: %v, %v", info, err)
	}
	if w := ask(openTestFolder(t, t.TempDir()), "GET", signed, nil, nil); w.Code != http.StatusForbidden {
		t.Errorf("another folder answers %d", w.Code)
	}
}

func TestWritersAndRemoversOfOneFolder(t *testing.T) {
	dir := t.TempDir()
	f, g := openTestFolder(t, dir), openTestFolder(t, dir)
	var group sync.WaitGroup
	for _, other := range []*folder{f, g} {
		for worker := range 4 {
			group.Go(func() {
				for i := range 50 {
					name := fmt.Sprintf("runs/%d/deep/er/%d", i%3, worker)
					if err := other.put(t.Context(), name, strings.NewReader(name), -1, PutOptions{}); err != nil {
						t.Errorf("put: %v", err)
					}
					if err := other.remove(t.Context(), name); err != nil && !errors.Is(err, ErrNotFound) {
						t.Errorf("remove: %v", err)
					}
				}
			})
		}
	}
	group.Wait()
	if entries, err := os.ReadDir(filepath.Join(dir, objectsDir)); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestDamagedFilesAreNoObjects(t *testing.T) {
	f := openTestFolder(t, t.TempDir())
	if err := f.put(t.Context(), "x", strings.NewReader("whole"), 5, PutOptions{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.path, filepath.FromSlash(fileOf("x")))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for sentence, text := range map[string][]byte{
		"cut off": whole[:len(whole)-3], "shorter": whole[1:], "longer": append([]byte("x"), whole...), "empty": nil, "another file": []byte("x"),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.stat(t.Context(), "x"); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", file); err != nil {
		t.Fatal(err)
	}
	if object, err := f.stat(t.Context(), "x"); err == nil {
		t.Errorf("a link out of the folder is the object %+v", object)
	}
}

func FuzzHandler(f *testing.F) {
	store := openTestFolder(f, f.TempDir())
	if err := store.put(context.Background(), "secret", strings.NewReader("canary"), 6, PutOptions{}); err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/storage/secret", "expires=9999999999&signature=00")
	f.Add("PUT", "/storage/../../etc/passwd", "expires=1&signature=&upload=../x&part=1")
	f.Add("HEAD", "/storage//secret%00", "expires=-1&signature=zz")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := httptest.NewRequest("GET", "/", strings.NewReader("body"))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		w := httptest.NewRecorder()
		store.ServeHTTP(w, r)
		if w.Code < 300 && method != "OPTIONS" || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%q %q %q: %d %s", method, path, query, w.Code, w.Body)
		}
	})
}

func FuzzSignatures(f *testing.F) {
	store := openTestFolder(f, f.TempDir())
	f.Add("GET", "a", int64(1), "", 0, "", "", "GET", "b", int64(1), "", 0, "", "")
	f.Add("GET", "a\n1", int64(1), "", 0, "", "", "GET", "a", int64(1), "1", 1, "", "")
	f.Add("GET", "a", int64(1), "", 0, "text/html", "", "GET", "a", int64(1), "", 0, "", "text/html")
	f.Add("GET", "a", int64(1), "", 0, "", "", "GET", "a", int64(1), "", 0, "", "inline")
	f.Fuzz(func(t *testing.T, method, name string, expires int64, upload string, part int, kind, disposition string,
		method2, name2 string, expires2 int64, upload2 string, part2 int, kind2, disposition2 string) {
		one := grant{method, name, expires, upload, part, kind, disposition}
		two := grant{method2, name2, expires2, upload2, part2, kind2, disposition2}
		if !slices.Contains([]string{"GET", "PUT"}, method) || !slices.Contains([]string{"GET", "PUT"}, method2) ||
			strings.Contains(upload+upload2, "\n") { // other methods and ids are refused before
			return
		}
		if one != two && bytes.Equal(store.mac(one), store.mac(two)) {
			t.Errorf("%+v and %+v have one signature", one, two)
		}
	})
}
