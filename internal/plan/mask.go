package plan

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// masker turns values into texts that may be shown.
type masker struct{ secrets []redact.Secret }

// newMasker masks the given secrets, what Secrets among the objects hold, and what other objects name like a credential.
func newMasker(known []redact.Secret, lists ...[]Object) *masker {
	seen := map[string]bool{}
	m := &masker{}
	see := func(text string) {
		if text = strings.TrimSpace(text); tells(text) && !seen[text] {
			seen[text] = true
			m.secrets = append(m.secrets, redact.Secret(text))
		}
	}
	for _, secret := range known {
		see(secret.Reveal())
	}
	for _, objects := range lists {
		for _, object := range objects {
			if object.isSecret() {
				seeData(object, see)
				continue
			}
			for _, secret := range spec.Secrets(object.Content, nil) {
				see(secret.Reveal())
			}
		}
	}
	// Longest first: a secret that contains another must be replaced as a whole.
	slices.SortFunc(m.secrets, func(a, b redact.Secret) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	return m
}

// seeData hands on what a Secret holds: each value as it is, encoded, and line by line.
func seeData(object Object, see func(string)) {
	data, _ := object.content()["data"].(map[string]any)
	for _, value := range data {
		encoded := fmt.Sprint(value)
		see(encoded)
		plain, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !utf8.Valid(plain) {
			continue
		}
		see(string(plain))
		if bytes.IndexByte(plain, '\n') < 0 {
			continue
		}
		for line := range strings.Lines(string(plain)) {
			// Short lines of a file in a Secret are brackets and headings, which stand everywhere.
			const telling = 12
			if len(line) >= telling {
				see(line)
			}
		}
	}
}

// tells leaves out what is no secret although it stands where one may: switches and small numbers are everywhere.
func tells(text string) bool {
	const fewDigits = 6
	switch strings.ToLower(text) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "none", strings.ToLower(redact.Mask):
		return false
	}
	_, err := strconv.ParseFloat(text, 64)
	return err != nil || len(text) >= fewDigits
}

// object returns the object with its credentials masked; its shape stays.
func (m *masker) object(content map[string]any) map[string]any { return spec.Redact(content, nil) }

// show writes a value as JSON of one line. What was nothing shows as nothing.
func (m *masker) show(value any) string {
	if value == nil {
		return ""
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m.value(value)); err != nil {
		return redact.Mask
	}
	return cut(strings.TrimSuffix(b.String(), "\n"), maxValue)
}

// value masks the texts inside a value, keys included.
func (m *masker) value(value any) any {
	switch v := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(v))
		for key, item := range v {
			if isHash(key) {
				item = redact.Mask
			}
			result[m.text(key)] = m.value(item)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, item := range v {
			result[i] = m.value(item)
		}
		return result
	case string:
		return m.text(v)
	case float64, int64, int:
		raw, err := json.Marshal(v)
		if err != nil || m.text(string(raw)) != string(raw) {
			return redact.Mask
		}
		return v
	default:
		return value
	}
}

// assignment finds "password = hunter2" and "--token=abc" inside texts: configuration files in a ConfigMap, arguments.
var assignment = regexp.MustCompile(`([A-Za-z][\w.-]*)(["']?[ \t]*=[ \t]*|["'][ \t]*:[ \t]*|[ \t]*:[ \t]+)("[^"\n]*"|'[^'\n]*'|[^\s,;&"']+)`)

// text masks secrets inside a text.
func (m *masker) text(text string) string {
	text = spec.MaskText(text, m.secrets)
	return assignment.ReplaceAllStringFunc(text, func(found string) string {
		parts := assignment.FindStringSubmatch(found)
		if !credentialNamed(parts[1]) {
			return found
		}
		return parts[1] + parts[2] + redact.Mask
	})
}

// credentialNamed asks the specification's own rules whether a key, or an environment variable, is named like a credential.
func credentialNamed(key string) bool {
	masked := spec.Redact(map[string]any{"env": map[string]any{key: "x"}}, nil)
	return within(masked, "env", key) == redact.Mask
}

func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// image masks a reference only where it holds a known secret: what follows the colon is a tag.
func (m *masker) image(reference string) string { return spec.MaskText(reference, m.secrets) }
