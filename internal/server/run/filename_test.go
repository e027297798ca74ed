package run

import (
	"strings"
	"testing"
)

func TestTheTypeOfAFile(t *testing.T) {
	for name, test := range map[string]struct{ file, stored, want string }{
		"what the client says":              {"a.png", "image/webp", "image/webp"},
		"nothing said, the name tells":      {"media/a.PNG", "", "image/png"},
		"the store's own word for nothing":  {"a.png", "application/octet-stream", "image/png"},
		"S3's word for nothing":             {"a.png", "binary/octet-stream", "image/png"},
		"neither tells":                     {"weights", "binary/octet-stream", "application/octet-stream"},
		"a type longer than a column holds": {"a.png", strings.Repeat("x", 256), "image/png"},
	} {
		if got := mimetype(test.file, test.stored); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
