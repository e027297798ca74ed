package webui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	indexHTML = `<!doctype html><meta name="base-path" content=""><script src="./color-scheme.js"></script>` +
		`<script type="module" src="./assets/main-Ab1.js"></script>`
	browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

func builtPages() fstest.MapFS {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"index.html":                text(indexHTML),
		"color-scheme.js":           text("scheme()"),
		"assets/main-Ab1.js":        text("main()"),
		"assets/main-Ab1.js.br":     text("main in br"),
		"assets/main-Ab1.js.gz":     text("main in gzip"),
		"assets/main-Cd2.css":       text("body{}"),
		"assets/inter-Ef3.woff2":    text("font"),
		"assets/worker-Gh4.js":      text("worker()"),
		"assets/worker-Gh4.js.gz":   text("worker in gzip"),
		"assets/nested/deep-Ij5.js": text("deep()"),
	}
}

func get(t *testing.T, handler http.Handler, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestSiteAnswers(t *testing.T) {
	const page, script, missing = "<!doctype html>", "main()", "404 page not found"
	tests := map[string]struct {
		basePath string
		method   string // GET when empty
		target   string
		accept   string
		status   int
		body     string // a prefix
	}{
		"the start page":                              {target: "/", accept: browserAccept, status: 200, body: page},
		"a route of the browser":                      {target: "/ada/quickstart", accept: browserAccept, status: 200, body: page},
		"a route whose last part has a dot":           {target: "/ada/model.v2", accept: browserAccept, status: 200, body: page},
		"a page about a file of a run":                {target: "/ada/mnist/runs/7xk2/files/media/a.json", accept: browserAccept, status: 200, body: page},
		"a page about a script of a run":              {target: "/ada/mnist/runs/7xk2/files/code/a.js", accept: browserAccept, status: 200, body: page},
		"a page about a file with odd signs":          {target: "/ada/mnist/runs/7xk2/files/HT%253ML%20.html", accept: browserAccept, status: 200, body: page},
		"a route for a client that takes anything":    {target: "/authorize", accept: "*/*", status: 200, body: page},
		"a route for a client that says nothing":      {target: "/authorize", status: 200, body: page},
		"no page for a client that wants JSON":        {target: "/authorize", accept: "application/json", status: 404, body: missing},
		"no page for a client that refuses HTML":      {target: "/authorize", accept: "text/html;q=0, application/json", status: 404, body: missing},
		"a built script":                              {target: "/assets/main-Ab1.js", accept: "*/*", status: 200, body: script},
		"a script of an earlier build is no page":     {target: "/assets/main-Old.js", accept: "*/*", status: 404, body: missing},
		"a missing icon is no page":                   {target: "/apple-touch-icon.png", accept: browserAccept, status: 404, body: missing},
		"an unknown address of the API is no page":    {target: "/api/unknown", accept: "*/*", status: 404, body: missing},
		"a folder is no file":                         {target: "/assets/", accept: browserAccept, status: 404, body: missing},
		"a compressed file has no address of its own": {target: "/assets/main-Ab1.js.br", accept: "*/*", status: 404, body: missing},
		"a path that climbs stays inside":             {target: "/assets/../../../etc/passwd", accept: browserAccept, status: 200, body: page},
		"a change of anything":                        {method: "POST", target: "/login", accept: browserAccept, status: 405},
		"the console's start page":                    {basePath: "/console", target: "/console/", accept: browserAccept, status: 200, body: page},
		"a route of the console":                      {basePath: "/console", target: "/console/settings", accept: browserAccept, status: 200, body: page},
		"a script of the console":                     {basePath: "/console/", target: "/console/assets/main-Ab1.js", status: 200, body: script},
		"an unknown address of the console's API":     {basePath: "/console", target: "/console/api/unknown", accept: "*/*", status: 404, body: missing},
		"a path beside the console":                   {basePath: "/console", target: "/consoles/", accept: browserAccept, status: 404, body: missing},
		"a path outside of the console":               {basePath: "/console", target: "/settings", accept: browserAccept, status: 404, body: missing},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			var headers []string
			if test.accept != "" {
				headers = []string{"Accept", test.accept}
			}
			response := get(t, newSite(builtPages(), test.basePath), method, test.target, headers...)
			if body := bodyOf(t, response); response.StatusCode != test.status || !strings.HasPrefix(body, test.body) {
				t.Errorf("%s %s = %d %.40q, want %d %q", method, test.target, response.StatusCode, body, test.status, test.body)
			}
			if got := response.Header.Get("Content-Security-Policy"); got != ContentSecurityPolicy {
				t.Errorf("Content-Security-Policy = %q", got)
			}
			if got := response.Header.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options = %q", got)
			}
		})
	}
}

func TestOnlyARunInANotebookMayBeFramed(t *testing.T) {
	app := newSite(builtPages(), "")
	app.framed = isNotebookRun
	tests := map[string]struct {
		site   *site
		target string
		framed bool
	}{
		"a run, as the client opens it in a notebook": {app, "/ada/mnist/runs/7xk2?jupyter=true", true},
		"a run whose name has a dot":                  {app, "/ada/mnist/runs/run.v1?jupyter=true", true},
		"a run in a tab":                              {app, "/ada/mnist/runs/7xk2", false},
		"a part of a run":                             {app, "/ada/mnist/runs/7xk2/files?jupyter=true", false},
		"a path that climbs away from a run":          {app, "/ada/mnist/runs/../../settings?jupyter=true", false},
		"the keys":                                    {app, "/authorize?jupyter=true", false},
		"a project":                                   {app, "/ada/mnist?jupyter=true", false},
		"the console":                                 {newSite(builtPages(), "/console"), "/console/a/b/runs/c?jupyter=true", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			header := get(t, test.site, http.MethodGet, test.target, "Accept", browserAccept).Header
			policy := header.Get("Content-Security-Policy")
			if framed := !strings.Contains(policy, "frame-ancestors 'none'") && header.Get("X-Frame-Options") == ""; framed != test.framed {
				t.Errorf("framed = %v, want %v: X-Frame-Options %q, policy %s", framed, test.framed, header.Get("X-Frame-Options"), policy)
			}
			if !strings.Contains(policy, "script-src 'self';") {
				t.Errorf("policy = %s", policy)
			}
		})
	}
}

func TestPolicyNamesTheStorage(t *testing.T) {
	const origin = "https://bucket.s3.example.com"
	policy := policyWith([]string{origin})
	for directive, want := range map[string]string{
		"img-src": "'self' " + origin + " data:", "media-src": "'self' " + origin, "frame-src": "'self' " + origin,
		"connect-src": "'self' " + origin, "script-src": "'self'", "default-src": "'none'",
	} {
		if !strings.Contains(policy+";", directive+" "+want+";") {
			t.Errorf("%s is not %s in %s", directive, want, policy)
		}
	}
}

func TestIndexNamesItsBasePath(t *testing.T) {
	tests := map[string]struct{ basePath, want string }{
		"at the root": {"", `<!doctype html><meta name="base-path" content=""><script src="/color-scheme.js"></script>` +
			`<script type="module" src="/assets/main-Ab1.js"></script>`},
		"below a path": {"/console/", `<!doctype html><meta name="base-path" content="/console"><script src="/console/color-scheme.js"></script>` +
			`<script type="module" src="/console/assets/main-Ab1.js"></script>`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := get(t, newSite(builtPages(), test.basePath), http.MethodGet, strings.TrimSuffix(test.basePath, "/")+"/")
			if got := bodyOf(t, response); got != test.want {
				t.Errorf("index.html = %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestConsoleWithoutSlashIsRedirected(t *testing.T) {
	response := get(t, newSite(builtPages(), "/console"), http.MethodGet, "/console?x=1")
	if response.StatusCode != http.StatusPermanentRedirect || response.Header.Get("Location") != "/console/?x=1" {
		t.Errorf("GET /console = %d to %q", response.StatusCode, response.Header.Get("Location"))
	}
}

func TestEncodings(t *testing.T) {
	site := newSite(builtPages(), "")
	tests := map[string]struct{ target, accept, encoding, body string }{
		"brotli is best":                         {"/assets/main-Ab1.js", "gzip, deflate, br, zstd", "br", "main in br"},
		"gzip where there is no brotli":          {"/assets/worker-Gh4.js", "gzip, br", "gzip", "worker in gzip"},
		"gzip where the client knows no brotli":  {"/assets/main-Ab1.js", "gzip", "gzip", "main in gzip"},
		"nothing for a client that says nothing": {"/assets/main-Ab1.js", "", "", "main()"},
		"a refused encoding is not used":         {"/assets/main-Ab1.js", "br;q=0, gzip;q=0.5", "gzip", "main in gzip"},
		"a weight that cannot be read refuses":   {"/assets/main-Ab1.js", "br;q=x", "", "main()"},
		"any encoding":                           {"/assets/main-Ab1.js", "*", "br", "main in br"},
		"any encoding but one":                   {"/assets/main-Ab1.js", "br;q=0, *", "gzip", "main in gzip"},
		"identity where nothing else exists":     {"/assets/main-Cd2.css", "br, gzip", "", "body{}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := get(t, site, http.MethodGet, test.target, "Accept-Encoding", test.accept)
			if got, body := response.Header.Get("Content-Encoding"), bodyOf(t, response); got != test.encoding || body != test.body {
				t.Errorf("answer in %q: %q, want %q: %q", got, body, test.encoding, test.body)
			}
			if got := response.Header.Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("Vary = %q", got)
			}
			if got := response.Header.Get("Content-Length"); got == "" {
				t.Error("no Content-Length")
			}
		})
	}
}

func TestIndexIsCompressed(t *testing.T) {
	response := get(t, newSite(builtPages(), ""), http.MethodGet, "/login", "Accept-Encoding", "gzip, br")
	if got := response.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding = %q", got)
	}
	unpacked, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unpacked)
	if err != nil || !bytes.Contains(body, []byte(`src="/assets/main-Ab1.js"`)) {
		t.Errorf("unpacked index.html = %q, %v", body, err)
	}
}

func TestCaching(t *testing.T) {
	site := newSite(builtPages(), "")
	tests := map[string]struct{ target, cacheControl, contentType string }{
		"a hashed file is kept for ever": {"/assets/main-Ab1.js", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
		"a style sheet":                  {"/assets/main-Cd2.css", "public, max-age=31536000, immutable", "text/css; charset=utf-8"},
		"a font":                         {"/assets/inter-Ef3.woff2", "public, max-age=31536000, immutable", "font/woff2"},
		"a file with a plain name":       {"/color-scheme.js", "no-cache", "text/javascript; charset=utf-8"},
		"a page":                         {"/settings", "no-cache", "text/html; charset=utf-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			first := get(t, site, http.MethodGet, test.target, "Accept-Encoding", "gzip, br")
			if got := first.Header.Get("Cache-Control"); got != test.cacheControl {
				t.Errorf("Cache-Control = %q, want %q", got, test.cacheControl)
			}
			if got := first.Header.Get("Content-Type"); got != test.contentType {
				t.Errorf("Content-Type = %q, want %q", got, test.contentType)
			}
			etag := first.Header.Get("ETag")
			again := get(t, site, http.MethodGet, test.target, "Accept-Encoding", "gzip, br", "If-None-Match", etag)
			if body := bodyOf(t, again); again.StatusCode != http.StatusNotModified || body != "" {
				t.Errorf("asked again with %s: %d %q", etag, again.StatusCode, body)
			}
		})
	}
}

func TestEncodingsHaveTheirOwnETags(t *testing.T) {
	site := newSite(builtPages(), "")
	seen := map[string]string{}
	for _, encoding := range []string{"", "gzip", "br"} {
		etag := get(t, site, http.MethodGet, "/assets/main-Ab1.js", "Accept-Encoding", encoding).Header.Get("ETag")
		if other, ok := seen[etag]; ok {
			t.Errorf("%q and %q share the ETag %s", encoding, other, etag)
		}
		seen[etag] = encoding
	}
}

func TestHeadHasNoBody(t *testing.T) {
	for _, target := range []string{"/", "/login", "/assets/main-Ab1.js"} {
		response := get(t, newSite(builtPages(), ""), http.MethodHead, target, "Accept-Encoding", "br, gzip")
		if body := bodyOf(t, response); response.StatusCode != http.StatusOK || body != "" || response.Header.Get("Content-Length") == "0" {
			t.Errorf("HEAD %s = %d %q, Content-Length %s", target, response.StatusCode, body, response.Header.Get("Content-Length"))
		}
	}
}

func TestRangesAreServedOfUncompressedFilesOnly(t *testing.T) {
	site := newSite(builtPages(), "")
	plain := get(t, site, http.MethodGet, "/assets/main-Ab1.js", "Range", "bytes=0-3")
	if body := bodyOf(t, plain); plain.StatusCode != http.StatusPartialContent || body != "main" {
		t.Errorf("range = %d %q", plain.StatusCode, body)
	}
	packed := get(t, site, http.MethodGet, "/assets/main-Ab1.js", "Range", "bytes=0-3", "Accept-Encoding", "br")
	if body := bodyOf(t, packed); packed.StatusCode != http.StatusOK || body != "main in br" {
		t.Errorf("range of br = %d %q", packed.StatusCode, body)
	}
}

func TestUnbuiltPagesSayHowToBuildThem(t *testing.T) {
	site := newSite(emptyFS{}, "/console")
	response := get(t, site, http.MethodGet, "/console/settings", "Accept", browserAccept)
	body := bodyOf(t, response)
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "run: <code>make web</code>") {
		t.Errorf("page = %d %s", response.StatusCode, body)
	}
	if got := response.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	if asset := get(t, site, http.MethodGet, "/console/assets/main.js"); asset.StatusCode != http.StatusNotFound {
		t.Errorf("asset = %d", asset.StatusCode)
	}
	if head := get(t, site, http.MethodHead, "/console/", "Accept", browserAccept); head.StatusCode != http.StatusServiceUnavailable || bodyOf(t, head) != "" {
		t.Errorf("HEAD = %d", head.StatusCode)
	}
}

func TestServersMayTightenHeaders(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	newSite(builtPages(), "").ServeHTTP(w, r)
	if got := w.Header().Values("Content-Security-Policy"); len(got) != 1 || got[0] != "default-src 'none'" {
		t.Errorf("Content-Security-Policy = %q", got)
	}
}

func FuzzSiteAnswersAnyPath(f *testing.F) {
	for _, seed := range []string{"/", "//", "/console", "/console/", "/console/../x", "/console/assets/%2e%2e/", "/console/\x00", "/console/api"} {
		f.Add(seed, "text/html", "br;q=0.5, *;q=0")
	}
	site := newSite(builtPages(), "/console")
	f.Fuzz(func(t *testing.T, path, accept, encoding string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL.Path = path
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusNotFound, http.StatusPermanentRedirect:
		default:
			t.Errorf("GET %q = %d", path, w.Code)
		}
		if location := w.Header().Get("Location"); location != "" && !strings.HasPrefix(location, "/console/") {
			t.Errorf("GET %q leads to %q", path, location)
		}
	})
}
