package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

const (
	// MaxKey is the longest key in bytes: longer than any path that an operating system takes.
	MaxKey = 8192
	// maxName and maxSegment are what the stores take: S3, Google and Azure 1,024 bytes a name, of which a prefix in the
	// bucket needs its share, and file systems 255 bytes a folder's or file's name. A segment grows by one byte for each
	// capital in a folder.
	maxName    = 900
	maxSegment = 120
	// shortened ends the readable rest of what was too long; its digest follows. No name of a short key holds it.
	shortened = "=~"
	digestLen = len(shortened) + 2*sha256.Size
	// keptName is how much stays readable of a name that is too long as a whole; prefixes up to this length find it.
	keptName = 500

	hexDigits = "0123456789abcdef"
)

var errNoName = errors.New("not a name of an object")

// checkKey tells whether a key can be stored.
func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > MaxKey:
		return errors.New("the key is longer than 8,192 bytes")
	}
	return nil
}

// nameOf is what a key is called in a store. Different keys have different names. Bytes other than letters, digits, "-", "_"
// and "/" are written "=xx"; a dot stays where it neither begins nor ends a part of the path, since stores and proxies
// resolve ".." and Azure drops a dot at the end. What is too long ends in a digest.
func nameOf(key string) string {
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		segments[i] = nameOfSegment(segment)
	}
	name := strings.Join(segments, "/")
	if len(name) <= maxName {
		return name
	}
	return name[:strings.LastIndexByte(name[:keptName], '/')+1] + shortened + digest(key) // a segment is shorter than what is kept
}

// prefixOf is the beginning of the names of all keys that begin with a folder's key, "runs/12/".
func prefixOf(folder string) (string, error) {
	if folder == "" {
		return "", nil
	}
	name := nameOf(strings.TrimSuffix(folder, "/"))
	if !strings.HasSuffix(folder, "/") || len(name) >= keptName || strings.Contains(name, shortened) {
		return "", errors.New("a prefix is a folder of at most 500 bytes and ends with a slash")
	}
	return name + "/", nil
}

func nameOfSegment(segment string) string {
	if segment == "" {
		return "=" // two slashes in a row, which some stores fold
	}
	var b strings.Builder
	for i := range len(segment) {
		c := segment[i]
		inside := i > 0 && i < len(segment)-1
		switch {
		case plain(c), c == '.' && inside:
			b.WriteByte(c)
		default:
			b.WriteByte('=')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	if b.Len() <= maxSegment {
		return b.String()
	}
	return cut(b.String(), maxSegment-digestLen) + shortened + digest(segment)
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// cut shortens a name without cutting an escape in two.
func cut(name string, n int) string {
	n = min(n, len(name))
	if at := strings.LastIndexByte(name[:n], '='); at > n-3 {
		n = at
	}
	return name[:n]
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// keyOf is the inverse of nameOf. The second result is false where a digest stands for a part: the key is not known then.
func keyOf(name string) (key string, whole bool, err error) {
	segments := strings.Split(name, "/")
	whole = true
	for i, segment := range segments {
		if kept, _, found := strings.Cut(segment, shortened); found {
			whole, segment = false, kept
		}
		if segments[i], err = keyOfSegment(segment); err != nil {
			return "", false, err
		}
	}
	key = strings.Join(segments, "/")
	if whole && nameOf(key) != name {
		return "", false, errNoName
	}
	return key, whole, nil
}

func keyOfSegment(segment string) (string, error) {
	if segment == "=" {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if plain(c) || c == '.' {
			b.WriteByte(c)
			continue
		}
		if c != '=' || i+2 >= len(segment) {
			return "", errNoName
		}
		raw, err := hex.DecodeString(segment[i+1 : i+3])
		if err != nil {
			return "", errNoName
		}
		b.WriteByte(raw[0])
		i += 2
	}
	return b.String(), nil
}

// validName tells whether text could be a name that nameOf made: it holds nothing that a path could climb with.
func validName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || len(segment) > maxSegment || segment[0] == '.' || segment[len(segment)-1] == '.' {
			return false
		}
		for i := range len(segment) {
			if c := segment[i]; !plain(c) && c != '.' && c != '=' && c != '~' {
				return false
			}
		}
	}
	return true
}
