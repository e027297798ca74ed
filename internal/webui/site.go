package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// basePathMarker stands in index.html where the program writes the path below which it serves the pages, so that one build
// serves at any path.
const basePathMarker = `<meta name="base-path" content="">`

// assetReference is how the build refers to a file from index.html; it becomes absolute, since a page may be several
// segments deep.
const assetReference = `="./`

// site serves one built single-page application from memory.
type site struct {
	basePath string
	policy   string
	// framed tells which pages other sites may show in a frame; nil means none.
	framed func(name string, query url.Values) bool
	files  map[string]*file
	broken error
}

// file is one built file in each encoding that it exists in.
type file struct {
	contentType string
	immutable   bool
	encodings   map[string]representation
}

// representation is what goes over the wire for one encoding ("" is identity).
type representation struct {
	body []byte
	etag string
}

func newSite(pages fs.FS, basePath string) *site {
	basePath = "/" + strings.Trim(basePath, "/")
	if basePath == "/" {
		basePath = ""
	}
	s := &site{basePath: basePath, policy: ContentSecurityPolicy, files: map[string]*file{}}
	s.broken = s.load(pages)
	return s
}

func (s *site) load(pages fs.FS) error {
	index, err := fs.ReadFile(pages, "index.html")
	if err != nil {
		return fmt.Errorf("read index.html: %w", err)
	}
	err = fs.WalkDir(pages, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "index.html" {
			return err
		}
		return s.add(pages, name)
	})
	if err != nil {
		return fmt.Errorf("read built pages: %w", err)
	}
	return s.addIndex(index)
}

func (s *site) add(pages fs.FS, name string) error {
	body, err := fs.ReadFile(pages, name)
	if err != nil {
		return err
	}
	name, encoding := splitEncoding(name)
	f := s.files[name]
	if f == nil {
		f = &file{
			contentType: contentType(name),
			immutable:   strings.HasPrefix(name, "assets/"),
			encodings:   map[string]representation{},
		}
		s.files[name] = f
	}
	f.encodings[encoding] = newRepresentation(body, encoding)
	return nil
}

func (s *site) addIndex(index []byte) error {
	meta := `<meta name="base-path" content="` + html.EscapeString(s.basePath) + `">`
	index = bytes.Replace(index, []byte(basePathMarker), []byte(meta), 1)
	index = bytes.ReplaceAll(index, []byte(assetReference), []byte(`="`+html.EscapeString(s.basePath)+`/`))

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(index); err != nil {
		return fmt.Errorf("compress index.html: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("compress index.html: %w", err)
	}
	s.files["index.html"] = &file{
		contentType: contentType("index.html"),
		encodings: map[string]representation{
			"":     newRepresentation(index, ""),
			"gzip": newRepresentation(packed.Bytes(), "gzip"),
		},
	}
	return nil
}

// ServeHTTP answers GET and HEAD with a built file, or with index.html where the path may be a page.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.setSecurityHeaders(w.Header(), r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if s.basePath != "" && r.URL.Path == s.basePath {
		target := s.basePath + "/"
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, target, http.StatusPermanentRedirect)
		return
	}
	name, ok := s.fileName(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	switch f := s.files[name]; {
	case s.broken != nil && mayBePage(name, r):
		serveUnbuilt(w, r, s.broken)
	case f != nil:
		f.serve(w, r)
	case mayBePage(name, r):
		s.files["index.html"].serve(w, r)
	default:
		http.NotFound(w, r)
	}
}

// fileName maps a request path to the name of a built file; ok is false outside of the base path.
func (s *site) fileName(requestPath string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(requestPath, s.basePath+"/")
	if !ok {
		return "", false
	}
	name = strings.TrimPrefix(path.Clean("/"+rest), "/")
	if name == "" {
		name = "index.html"
	}
	return name, true
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	encoding := negotiate(r.Header.Values("Accept-Encoding"), f.encodings)
	chosen := f.encodings[encoding]
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("ETag", chosen.etag)
	h.Add("Vary", "Accept-Encoding")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
		h.Set("Content-Length", strconv.Itoa(len(chosen.body)))
		r = r.Clone(r.Context()) // a range of a compressed body is of no use to a page
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(chosen.body))
}

func newRepresentation(body []byte, encoding string) representation {
	sum := sha256.Sum256(body)
	etag := base64.RawURLEncoding.EncodeToString(sum[:12])
	if encoding != "" {
		etag += "-" + encoding
	}
	return representation{body: body, etag: `"` + etag + `"`}
}

func (s *site) setSecurityHeaders(h http.Header, r *http.Request) {
	policy := s.policy
	name, inside := s.fileName(r.URL.Path)
	switch {
	case inside && s.framed != nil && s.framed(name, r.URL.Query()):
		// Without the directive, since "*" leaves out the schemes of editors that show notebooks.
		policy = strings.Replace(policy, "; frame-ancestors 'none'", "", 1)
	case h.Get("X-Frame-Options") == "":
		h.Set("X-Frame-Options", "DENY")
	}
	for name, value := range map[string]string{
		"Content-Security-Policy":    policy,
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy":         "camera=(), geolocation=(), microphone=()",
	} {
		if h.Get(name) == "" {
			h.Set(name, value)
		}
	}
}

func serveUnbuilt(w http.ResponseWriter, r *http.Request, cause error) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method == http.MethodHead {
		return
	}
	reason := "The pages are not part of this build."
	if !errors.Is(cause, fs.ErrNotExist) {
		reason = "The pages of this build cannot be read: " + cause.Error() + "."
	}
	// A browser that hung up is nothing that this answer could mend.
	_, _ = fmt.Fprintf(w, unbuiltPage, html.EscapeString(reason))
}

const unbuiltPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pages not built</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}</style>
</head><body><main><h1>Pages not built</h1><p>%s The API works as usual.</p>
<p>To build them, run: <code>make web</code>, then build this program again.</p></main></body></html>
`
