package spec

import (
	"errors"
	"strings"
)

// JoinPath writes keys as one dotted path. A dot or backslash inside a key is escaped with a backslash.
func JoinPath(keys ...string) string {
	var b strings.Builder
	for i, key := range keys {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(escapeKey(key))
	}
	return b.String()
}

// SplitPath reads what JoinPath writes. An empty path, an empty key or a trailing backslash is an error.
func SplitPath(path string) ([]string, error) {
	var keys []string
	var key strings.Builder
	escaped := false
	for _, r := range path {
		switch {
		case escaped:
			key.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '.':
			if key.Len() == 0 {
				return nil, errors.New("empty key in path")
			}
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteRune(r)
		}
	}
	if escaped {
		return nil, errors.New("path ends with a backslash")
	}
	if key.Len() == 0 {
		return nil, errors.New("empty key in path")
	}
	return append(keys, key.String()), nil
}

func escapeKey(key string) string {
	key = strings.ReplaceAll(key, `\`, `\\`)
	return strings.ReplaceAll(key, ".", `\.`)
}

// childPath extends a path by one key.
func childPath(path, key string) string {
	if path == "" {
		return escapeKey(key)
	}
	return path + "." + escapeKey(key)
}
