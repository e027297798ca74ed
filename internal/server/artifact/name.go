package artifact

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	maxName = 128
	// maxTags are given or taken by one call.
	maxTags = 20
	// maxAliases are given or taken by one call.
	maxAliases = 100
)

// checkName tells whether something can be the name of a collection, a type or an alias: these are joined by slashes and
// colons.
func checkName(kind, name string) error {
	switch {
	case name == "":
		return invalid("the name of " + kind + " is empty")
	case len(name) > maxName:
		return invalid(fmt.Sprintf("the name of %s is longer than %d bytes", kind, maxName))
	case !utf8.ValidString(name) || strings.ContainsAny(name, "/:") || strings.ContainsFunc(name, unicode.IsControl):
		return invalid(fmt.Sprintf("the name %q of %s holds a slash, a colon or a control character", name, kind))
	}
	return nil
}

// checkAliases drops doubles and AliasLatest, which every new version gets. Versions are no aliases: v0 is always the first.
func checkAliases(aliases []string) ([]string, error) {
	if len(aliases) > maxAliases {
		return nil, invalid(fmt.Sprintf("there are more than %d aliases", maxAliases))
	}
	var kept []string
	seen := map[string]bool{store.AliasLatest: true}
	for _, alias := range aliases {
		if err := checkName("an alias", alias); err != nil {
			return nil, err
		}
		if _, ok := parseVersion(alias); ok {
			return nil, invalid(fmt.Sprintf("the alias %q is reserved for the version of that number", alias))
		}
		if !seen[alias] {
			seen[alias] = true
			kept = append(kept, alias)
		}
	}
	return kept, nil
}

var tagPattern = regexp.MustCompile(`^[-\p{L}\p{N}_]+( +[-\p{L}\p{N}_]+)*$`)

func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return invalid(fmt.Sprintf("there are more than %d tags", maxTags))
	}
	for _, tag := range tags {
		if len(tag) > maxName || !tagPattern.MatchString(tag) {
			return invalid(fmt.Sprintf("the tag %q is longer than %d bytes, or holds other than letters, digits, hyphens, underscores and spaces", tag, maxName))
		}
	}
	return nil
}

// checkPath tells whether an entry can have this path: a client writes it below the folder that it downloads to.
func checkPath(path string) error {
	switch {
	case path == "" || len(path) > maxPath:
		return invalid(fmt.Sprintf("the path of an entry is empty, or longer than %d bytes", maxPath))
	case strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0):
		return invalid(fmt.Sprintf("the path %q begins with a slash, or holds a zero byte", path))
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return invalid(fmt.Sprintf("the path %q leads out of its folder", path))
		}
	}
	return nil
}

// maxPath is the longest path of an entry.
const maxPath = 8192

// splitName splits "collection:alias"; without an alias the newest version is meant.
func splitName(name string) (collection, alias string) {
	collection, alias, found := strings.Cut(name, ":")
	if !found || alias == "" {
		alias = store.AliasLatest
	}
	return collection, alias
}

// parseVersion reads "v12".
func parseVersion(text string) (int64, bool) {
	digits, found := strings.CutPrefix(text, "v")
	if !found || digits == "" || (len(digits) > 1 && digits[0] == '0') || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// VersionName is what people call a version: "v12".
func VersionName(index int64) string { return "v" + strconv.FormatInt(index, 10) }

var hexDigest = regexp.MustCompile(`^[0-9a-f]{32}$`)

// which says which version an alias means.
func which(alias string) store.MemberQuery {
	if n, ok := parseVersion(alias); ok {
		return store.MemberQuery{Version: n}
	}
	return store.MemberQuery{Version: store.NoVersion, Alias: alias}
}

const md5Size = 16

// md5OfBase64 decodes the digest of an entry.
func md5OfBase64(text string) (store.Text, bool) {
	sum, err := base64.StdEncoding.DecodeString(text)
	return store.Text(sum), err == nil && len(sum) == md5Size
}

// md5OfHex decodes the digest in a URL.
func md5OfHex(text string) (store.Text, bool) {
	sum, err := hex.DecodeString(text)
	return store.Text(sum), err == nil && len(sum) == md5Size
}
