package webui

import (
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// encodings lists the content codings that the build writes beside a file, best first, with their file suffix.
var encodings = [...]struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// splitEncoding tells which file, in which content coding, a built name stands for: "a.js.br" is "a.js" in "br".
func splitEncoding(name string) (plain, encoding string) {
	for _, e := range encodings {
		if plain, ok := strings.CutSuffix(name, e.suffix); ok {
			return plain, e.name
		}
	}
	return name, ""
}

// negotiate chooses the best content coding that both sides know. Without a match it answers "", the identity, which every
// client understands.
func negotiate(acceptEncoding []string, have map[string]representation) string {
	accepted := map[string]bool{}
	for _, entry := range strings.Split(strings.Join(acceptEncoding, ","), ",") {
		name, parameters, _ := strings.Cut(entry, ";")
		accepted[strings.ToLower(strings.TrimSpace(name))] = quality(parameters) > 0
	}
	for _, e := range encodings {
		ok, named := accepted[e.name]
		if !named {
			ok = accepted["*"]
		}
		if _, exists := have[e.name]; ok && exists {
			return e.name
		}
	}
	return ""
}

// quality reads the weight of an Accept or Accept-Encoding entry; none means 1 and an unreadable one means 0.
func quality(parameters string) float64 {
	for _, parameter := range strings.Split(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return 0
		}
		return q
	}
	return 1
}

// mayBePage tells whether a path that is no file may be a route of the application in the browser: the client takes HTML,
// and the path is neither a file of the build nor of an API.
func mayBePage(name string, r *http.Request) bool {
	folder, _, _ := strings.Cut(name, "/")
	return acceptsHTML(r.Header.Values("Accept")) && folder != "api" && !looksLikeAsset(name)
}

// looksLikeAsset recognises names of files. Only endings of files that the build writes count, since a user may be called
// "model.v2", and only at the root: below it names belong to users, as in /ada/mnist/runs/x/files/config.json.
func looksLikeAsset(name string) bool {
	if folder, _, _ := strings.Cut(name, "/"); folder == "assets" || folder == ".well-known" {
		return true
	}
	if strings.Contains(name, "/") {
		return false
	}
	switch path.Ext(name) {
	case ".js", ".mjs", ".css", ".map", ".json", ".svg", ".png", ".ico", ".woff2", ".txt", ".xml", ".webmanifest", ".br", ".gz":
		return true
	}
	return false
}

func acceptsHTML(accept []string) bool {
	if len(accept) == 0 {
		return true
	}
	for _, entry := range strings.Split(strings.Join(accept, ","), ",") {
		mediaType, parameters, _ := strings.Cut(entry, ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/html", "text/*", "*/*":
			if quality(parameters) > 0 {
				return true
			}
		}
	}
	return false
}

// contentType names the media type of a built file. The usual ones are fixed here, since the machine's own table differs
// between images and a wrong type for a script is refused by browsers.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".json", ".map":
		return "application/json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".webmanifest":
		return "application/manifest+json"
	default:
		if known := mime.TypeByExtension(ext); known != "" {
			return known
		}
		return "application/octet-stream"
	}
}
