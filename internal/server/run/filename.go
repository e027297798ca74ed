package run

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// like makes a matcher of a pattern of SQL's LIKE: "%" is any text, "_" any character, and a backslash takes its meaning from
// what follows.
func like(pattern string) func(name string) bool {
	if pattern == "" {
		return func(string) bool { return true }
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped:
			b.WriteString(regexp.QuoteMeta(string(r)))
			escaped = false
		case r == '\\':
			escaped = true
		case r == '%':
			b.WriteString(`.*`)
		case r == '_':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	if escaped {
		b.WriteString(`\\`)
	}
	b.WriteString(`\z`)
	expression, err := regexp.Compile(b.String())
	if err != nil { // only for a pattern that is too long
		return func(string) bool { return false }
	}
	return expression.MatchString
}

var mimetypes = map[string]string{
	".bmp": "image/bmp", ".csv": "text/csv", ".gif": "image/gif", ".gz": "application/gzip", ".html": "text/html",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".json": "application/json", ".jsonl": "application/jsonl",
	".log": "text/plain", ".md": "text/markdown", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".pdf": "application/pdf",
	".png": "image/png", ".py": "text/x-python", ".svg": "image/svg+xml", ".txt": "text/plain", ".wav": "audio/wav",
	".webm": "video/webm", ".webp": "image/webp", ".yaml": "application/yaml", ".yml": "application/yaml",
	".zip": "application/zip",
}

const (
	unknownMimetype = "application/octet-stream"
	maxMimetype     = 255
)

// sayNothing are the types that stores give to an object without one: the second is that of S3.
var sayNothing = []string{unknownMimetype, "binary/octet-stream"}

// mimetype is what the client said, or what the name says where the client said nothing of use.
func mimetype(name, stored string) string {
	if stored != "" && !slices.Contains(sayNothing, stored) && len(stored) <= maxMimetype {
		return stored
	}
	if known, ok := mimetypes[strings.ToLower(path.Ext(name))]; ok {
		return known
	}
	return unknownMimetype
}
