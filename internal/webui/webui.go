// Package webui embeds the pages that web/ builds and serves them: the W&B Server application and the System Console.
//
// Both are single-page applications. Files below assets/ carry a hash of their content in their name and never change;
// index.html names the current ones and is asked for anew each time. What is no file and looks like a page is answered with
// index.html, since the browser knows the routes.
package webui

import (
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
)

// ContentSecurityPolicy allows what the pages need and nothing else: their own scripts, styles, images and requests.
//
// Inline scripts and eval are refused. Inline styles are allowed because the component library sets style attributes and one
// style element for its responsive properties, and the YAML editor adds style rules at run time; no style of ours comes from
// user content. Images may be data: URLs, which is how small icons are bundled. Media and frames show files of users: frames are
// sandboxed, and what serves the files forbids them scripts as well.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"media-src 'self'; frame-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
	"frame-ancestors 'none'"

//go:embed all:dist
var dist embed.FS

// App serves the pages of W&B Server, which stand at the root of its host. A program that embeds no built pages answers 503
// with the command that builds them. Storage names the origins of signed URLs, "https://bucket.s3.amazonaws.com", where files
// come from another host than this one: previews need them in the policy.
//
// The handler owns only pages: mount it behind the routes of the API.
func App(storage ...string) http.Handler {
	s := newSite(built("app"), "")
	s.policy = policyWith(storage)
	s.framed = isNotebookRun
	return s
}

// Console serves the pages of the System Console below basePath, for example "/console". Requests arrive with that prefix
// still in their path; basePath itself is redirected to basePath with a slash. A program that embeds no built pages answers
// 503 with the command that builds them.
func Console(basePath string) http.Handler {
	return newSite(built("console"), basePath)
}

// policyWith lets pages show and read files of other origins; it never lets them run a script from there.
func policyWith(origins []string) string {
	policy := ContentSecurityPolicy
	for _, origin := range origins {
		for _, directive := range [...]string{"img-src 'self'", "media-src 'self'", "frame-src 'self'", "connect-src 'self'"} {
			policy = strings.Replace(policy, directive, directive+" "+origin, 1)
		}
	}
	return policy
}

// isNotebookRun recognises the page that the client shows in a frame of a notebook: /{entity}/{project}/runs/{run}?jupyter=true.
// It carries nothing that changes or deletes, since whoever frames it may lead a click anywhere.
func isNotebookRun(name string, query url.Values) bool {
	parts := strings.Split(name, "/")
	return len(parts) == 4 && parts[2] == "runs" && query.Get("jupyter") == "true"
}

func built(name string) fs.FS {
	pages, err := fs.Sub(dist, "dist/"+name)
	if err != nil { // only for a name that is no valid path, and both names are constants
		return emptyFS{}
	}
	return pages
}

// emptyFS holds no file, as a checkout whose pages were never built.
type emptyFS struct{}

func (emptyFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
