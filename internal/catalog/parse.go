package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	sigsjson "sigs.k8s.io/json"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// ReasonMalformedRelease is the reason of every fault that Parse returns.
const ReasonMalformedRelease = "MalformedRelease"

// maxDepth bounds nesting; no chart's values come near it.
const maxDepth = 64

// Parse reads a release document. Its metadata and values may be null or absent; its chart may not, because a release
// without one cannot be installed. Unknown members of the document are passed over. Every failure is a *fault.Error
// with ReasonMalformedRelease whose text names the member at fault.
func Parse(document []byte) (*Release, error) {
	if len(document) > MaxDocumentBytes {
		return nil, malformed(fmt.Errorf("it has %d bytes, at most %d are read", len(document), MaxDocumentBytes))
	}
	if len(bytes.TrimSpace(document)) == 0 {
		return nil, malformed(errors.New("it is empty"))
	}
	if err := checkDepth(document); err != nil {
		return nil, malformed(err)
	}
	var decoded any
	if err := sigsjson.UnmarshalCaseSensitivePreserveInts(document, &decoded); err != nil {
		return nil, malformed(err)
	}
	members, ok := decoded.(map[string]any)
	if !ok {
		return nil, malformed(fmt.Errorf("it is %s, want an object", kindOf(decoded)))
	}
	dropNegativeZero(members)
	return fromMembers(members)
}

// dropNegativeZero turns -0.0 into 0: JSON would write it as the integer -0, and the canonical bytes would not be stable.
func dropNegativeZero(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, each := range value {
			value[key] = dropNegativeZero(each)
		}
	case []any:
		for i, each := range value {
			value[i] = dropNegativeZero(each)
		}
	case float64:
		if value == 0 {
			return int64(0)
		}
	}
	return value
}

func fromMembers(members map[string]any) (*Release, error) {
	release := &Release{}
	metadata, err := object(members, "metadata")
	if err != nil {
		return nil, err
	}
	if metadata != nil {
		release.Metadata = make(map[string]string, len(metadata))
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		value, ok := metadata[key].(string)
		if !ok {
			return nil, malformed(fmt.Errorf("metadata.%s is %s, want a string", key, kindOf(metadata[key])))
		}
		release.Metadata[key] = value
	}
	if release.Chart, err = object(members, "chart"); err != nil {
		return nil, err
	}
	if err := checkChartForm(release.Chart); err != nil {
		return nil, malformed(err)
	}
	if release.Values, err = object(members, "values"); err != nil {
		return nil, err
	}
	return release, nil
}

// object returns the named member, nil where it is absent or null.
func object(members map[string]any, name string) (map[string]any, error) {
	switch value := members[name].(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return value, nil
	default:
		return nil, malformed(fmt.Errorf("%s is %s, want an object", name, kindOf(value)))
	}
}

// checkDepth refuses documents nested beyond maxDepth, without recursion.
func checkDepth(document []byte) error {
	depth, inString, escaped := 0, false, false
	for _, c := range document {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// Canonical returns the document as JSON with sorted keys, no white space and no HTML escapes; absent parts are written
// as {}. Parsing the result gives an equal release, and the same bytes again.
func (r *Release) Canonical() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(map[string]any{
		"metadata": orEmpty(r.Metadata), "chart": orEmpty(r.Chart), "values": orEmpty(r.Values),
	})
	if err != nil {
		return nil, fmt.Errorf("encode release: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("%T", value)
	}
}

func malformed(cause error) error {
	return &fault.Error{
		Reason: ReasonMalformedRelease, Op: "parse release document", Err: cause,
		Hint: "Check that the channel URL names a deploy server and that no proxy rewrites its answers, else report the release to its publisher.",
	}
}
