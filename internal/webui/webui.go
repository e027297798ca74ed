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
)

// ContentSecurityPolicy allows what the pages need and nothing else: their own scripts, styles, images and requests.
//
// Inline scripts and eval are refused. Inline styles are allowed because the component library sets style attributes and one
// style element for its responsive properties, and the YAML editor adds style rules at run time; no style of ours comes from
// user content. Images may be data: URLs, which is how small icons are bundled.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

//go:embed all:dist
var dist embed.FS

// App serves the pages of W&B Server, which stand at the root of its host. A program that embeds no built pages answers 503
// with the command that builds them.
//
// The handler owns only pages: mount it behind the routes of the API.
func App() http.Handler {
	return newSite(built("app"), "")
}

// Console serves the pages of the System Console below basePath, for example "/console". Requests arrive with that prefix
// still in their path; basePath itself is redirected to basePath with a slash. A program that embeds no built pages answers
// 503 with the command that builds them.
func Console(basePath string) http.Handler {
	return newSite(built("console"), basePath)
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
