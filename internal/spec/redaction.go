package spec

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// Redact returns a copy of values that may be shown: credentials are replaced by redact.Mask. A value is a credential by
// its key's name, by the schema's word, by its own form (private key, token, URL with a password), or because the same
// text is a credential elsewhere in values. schema may be nil.
func Redact(values map[string]any, schema *Schema) map[string]any {
	r := redactor{schema: schema, seen: map[string]bool{}}
	r.walk(values, "", false)
	masked, _ := r.mask(values, "", false).(map[string]any)
	return masked
}

// Secrets returns the distinct credentials in values as texts, longest first, so that a program can keep them out of
// what it prints.
func Secrets(values map[string]any, schema *Schema) []redact.Secret {
	r := redactor{schema: schema, seen: map[string]bool{}}
	r.walk(values, "", false)
	secrets := make([]redact.Secret, 0, len(r.seen))
	for text := range r.seen {
		secrets = append(secrets, redact.Secret(text))
	}
	slices.SortFunc(secrets, func(a, b redact.Secret) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	return secrets
}

// MaskText replaces every occurrence of secrets in text, and the user information of URLs. Secrets shorter than eight
// characters are replaced only where they stand alone: a password "wandb" must not hide the name of every object, which
// would tell a reader nothing and an attacker the password.
func MaskText(text string, secrets []redact.Secret) string {
	const alone = 8
	for _, secret := range secrets {
		value := secret.Reveal()
		switch {
		case value == "":
		case len(value) >= alone:
			text = strings.ReplaceAll(text, value, redact.Mask)
		default:
			text = replaceAlone(text, value)
		}
	}
	return maskURLs(text)
}

// replaceAlone replaces value where neither neighbour could belong to the same name.
func replaceAlone(text, value string) string {
	var b strings.Builder
	for at := 0; ; {
		found := strings.Index(text[at:], value)
		if found < 0 {
			b.WriteString(text[at:])
			return b.String()
		}
		start, end := at+found, at+found+len(value)
		b.WriteString(text[at:start])
		if (start > 0 && isNamePart(text[start-1])) || (end < len(text) && isNamePart(text[end])) {
			b.WriteString(value)
		} else {
			b.WriteString(redact.Mask)
		}
		at = end
	}
}

func isNamePart(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("_-./", c) >= 0
}

type redactor struct {
	schema *Schema
	// seen holds the texts that are credentials somewhere.
	seen map[string]bool
}

// walk collects credentials. env tells that the keys of the current map are names of environment variables.
func (r *redactor) walk(value any, path string, env bool) {
	switch v := value.(type) {
	case map[string]any:
		named := namedCredential(v)
		for key, item := range v {
			at := childPath(path, key)
			if isScalar(item) && ((named && key == "value") || r.credential(key, at, env)) {
				r.see(item)
				continue
			}
			if list, ok := item.([]any); ok && r.credentialList(key, at) {
				r.seeAll(list)
			}
			r.walk(item, at, isEnv(key))
		}
	case []any:
		for _, item := range v {
			r.walk(item, childPath(path, listItem), env)
		}
	case string:
		if looksSecret(v) {
			r.see(v)
		}
		if password := urlPassword(v); password != "" {
			r.see(password)
		}
	}
}

func (r *redactor) mask(value any, path string, env bool) any {
	switch v := value.(type) {
	case map[string]any:
		named := namedCredential(v)
		result := make(map[string]any, len(v))
		for key, item := range v {
			at := childPath(path, key)
			if isScalar(item) && hides(item) && ((named && key == "value") || r.credential(key, at, env)) {
				result[key] = redact.Mask
				continue
			}
			result[key] = r.mask(item, at, isEnv(key))
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, item := range v {
			result[i] = r.mask(item, childPath(path, listItem), env)
		}
		return result
	case string:
		if r.seen[v] || looksSecret(v) {
			return redact.Mask
		}
		return maskURLs(v)
	default:
		if value != nil && r.seen[fmt.Sprint(value)] {
			return redact.Mask
		}
		return value
	}
}

func (r *redactor) seeAll(list []any) {
	for _, item := range list {
		if isScalar(item) {
			r.see(item)
		}
	}
}

// see remembers a credential. Numbers of few digits are masked in their own place alone: they stand everywhere.
func (r *redactor) see(value any) {
	if !hides(value) {
		return
	}
	text := fmt.Sprint(value)
	if _, isText := value.(string); !isText && len(text) < 4 {
		return
	}
	r.seen[text] = true
	if password := urlPassword(text); password != "" {
		r.seen[password] = true
	}
}

func (r *redactor) credential(key, path string, env bool) bool {
	return credentialKey(key) || (env && credentialEnv(key)) || r.schema.secret(path)
}

// credentialList tells whether the texts of a list are credentials. Lists of pull secrets hold names.
func (r *redactor) credentialList(key, path string) bool {
	return !strings.HasSuffix(strings.ToLower(key), "secrets") && r.credential(key, path, false)
}

// hides tells whether there is anything to hide: an empty text and a null show that nothing is set, and a boolean is a
// switch.
func hides(value any) bool {
	switch v := value.(type) {
	case nil, bool:
		return false
	case string:
		return v != ""
	default:
		return true
	}
}

func isScalar(value any) bool {
	kind, _ := kindOf(value)
	return isScalarKind(kind)
}

// namedCredential tells whether a map is an entry {name: MYSQL_PASSWORD, value: …} of a list of environment variables.
func namedCredential(fields map[string]any) bool {
	name, ok := fields["name"].(string)
	_, hasValue := fields["value"]
	return ok && hasValue && (credentialKey(name) || credentialEnv(name))
}

func isEnv(key string) bool {
	lower := strings.ToLower(key)
	return lower == "env" || strings.HasSuffix(lower, "env")
}

// credentialKey goes by the key's name. Keys that name a Secret, or a key in one, hold no credential themselves.
func credentialKey(key string) bool {
	plain := strings.ToLower(strings.Map(withoutSeparators, key))
	for _, suffix := range []string{"name", "keyname", "ref", "refs", "path", "file", "enabled", "type", "passwordkey", "usernamekey", "header", "hours", "seconds", "url"} {
		if strings.HasSuffix(plain, suffix) {
			return false
		}
	}
	for _, part := range []string{"password", "passwd", "passphrase", "secret", "license", "licence", "token", "credential",
		"accesskey", "apikey", "privatekey", "signingkey", "encryptionkey", "sessionkey", "tlskey", "keymaterial"} {
		if strings.Contains(plain, part) {
			return true
		}
	}
	return plain == "pass" || plain == "pw" || plain == "pwd" || plain == "bindpw" || plain == "jwt"
}

func withoutSeparators(r rune) rune {
	if r == '_' || r == '-' || r == '.' {
		return -1
	}
	return r
}

// credentialEnv adds what only names of environment variables tell: FOO_KEY, FOO_PW, FOO_DSN.
func credentialEnv(name string) bool {
	upper := strings.ToUpper(name)
	for _, suffix := range []string{"_KEY", "_PW", "_PASS", "_PWD", "_DSN", "_AUTH"} {
		if strings.HasSuffix(upper, suffix) {
			return true
		}
	}
	return false
}

// looksSecret goes by the form of a text: a private key in PEM, or a signed token.
func looksSecret(text string) bool {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return true
	}
	return strings.HasPrefix(text, "eyJ") && strings.Count(text, ".") == 2 && !strings.ContainsAny(text, " \n")
}

// urlPassword returns the password inside a text that is one URL.
func urlPassword(text string) string {
	if !strings.Contains(text, "@") || !strings.Contains(text, "://") {
		return ""
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.User == nil {
		return ""
	}
	password, _ := parsed.User.Password()
	return password
}

// maskURLs hides the user information of every URL in text, well formed or not.
func maskURLs(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		authority := rest
		if end := strings.IndexAny(rest, "/?# \t\n\"'<>"); end >= 0 {
			authority = rest[:end]
		}
		text = rest
		if at := strings.LastIndex(authority, "@"); at >= 0 {
			b.WriteString(redact.Mask + "@")
			text = rest[at+1:]
		}
	}
}
