package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// maxLayerText bounds the text of the user layer. Text and values stand side by side in one Secret, which holds 1 MiB.
const maxLayerText = 256 << 10

// Top-level keys of the user layer's text.
const (
	keyChart  = "chart"
	keyValues = "values"
)

// layerError says what is wrong with the text of a user layer, and where. It never repeats a value.
type layerError struct {
	// Line counts from 1; 0 means the text as a whole.
	Line int
	// Path is dotted and begins with chart or values; empty means the text as a whole.
	Path    string
	Message string
	Hint    string
}

var _ error = (*layerError)(nil)

// Error returns the message with its line.
func (e *layerError) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// parseLayer reads the text that an administrator edits: YAML with the keys chart and values, both optional. Every failure
// is a *layerError.
//
// Scalars mean what they mean to Helm and kubectl, which is YAML 1.1: an unquoted yes is true.
func parseLayer(text string) (spec.Layer, error) {
	if len(text) > maxLayerText {
		return spec.Layer{}, &layerError{
			Message: fmt.Sprintf("The text is longer than %d KiB.", maxLayerText>>10),
			Hint:    "Move long texts such as certificates into a ConfigMap or Secret, and refer to it.",
		}
	}
	document, err := parseDocument(text)
	if err != nil || document == nil {
		return spec.Layer{Name: spec.LayerUser}, err
	}
	if err := checkDocument(document); err != nil {
		return spec.Layer{}, err
	}
	fields, err := convert(text)
	if err != nil {
		return spec.Layer{}, err
	}
	return layerOf(fields, document)
}

// parseDocument returns the root of the only document in text, or nil where it has no content.
func parseDocument(text string) (*yaml.Node, error) {
	if !utf8.ValidString(text) {
		return nil, &layerError{Message: "The text is not UTF-8."}
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxError(text, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &layerError{Line: second.Line, Message: "There is a second document after \"---\".", Hint: "Put everything into one document."}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(text, err)
	}
	root := document.Content[0]
	if root.ShortTag() == "!!null" {
		return nil, nil
	}
	return root, nil
}

var (
	yamlLine      = regexp.MustCompile(`line (\d+): `)
	unknownAnchor = regexp.MustCompile(`unknown anchor '([^']*)'`)
)

// syntaxError says in YAML's own words, which repeat no value, what the parser found, and where.
func syntaxError(text string, err error) error {
	words := yamlLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
	return &layerError{Line: syntaxLine(text, err), Message: "This is not YAML: " + strings.TrimSpace(words) + "."}
}

// syntaxLine finds the line to show. The parser names the line where the innermost list or map begins, if it expected
// another part of it, and counts that line from 0; its older version names the place itself, counted the same way.
func syntaxLine(text string, err error) int {
	if anchor := unknownAnchor.FindStringSubmatch(err.Error()); anchor != nil {
		before, _, _ := strings.Cut(text, "*"+anchor[1])
		return 1 + strings.Count(before, "\n")
	}
	if !strings.Contains(err.Error(), "did not find expected") {
		return max(1, reportedLine(err))
	}
	_, older := sigsyaml.YAMLToJSONStrict([]byte(text))
	if older == nil {
		older = err
	}
	return min(1+reportedLine(older), 1+strings.Count(text, "\n"))
}

func reportedLine(err error) int {
	match := yamlLine.FindStringSubmatch(err.Error())
	if match == nil {
		return 0
	}
	line, _ := strconv.Atoi(match[1]) // digits only, and no text has more lines than an int counts
	return line
}

// convert reads text as Helm and kubectl do, into integers of int64 and other numbers of float64.
func convert(text string) (map[string]any, error) {
	asJSON, err := sigsyaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, syntaxError(text, err)
	}
	var fields map[string]any
	if err := utiljson.Unmarshal(asJSON, &fields); err != nil {
		return nil, &layerError{Message: "The text has no form that can be stored as JSON."}
	}
	return fields, nil
}

func layerOf(fields map[string]any, document *yaml.Node) (spec.Layer, error) {
	layer := spec.Layer{Name: spec.LayerUser}
	for key, target := range map[string]*map[string]any{keyChart: &layer.Chart, keyValues: &layer.Values} {
		switch content := fields[key].(type) {
		case nil:
		case map[string]any:
			*target = content
		default:
			return spec.Layer{}, &layerError{
				Line: lineOf(document, key), Path: key, Message: "\"" + key + "\" has to hold keys of its own.",
				Hint: "Write one key per line below it, indented by two spaces.",
			}
		}
	}
	if len(layer.Chart) == 0 {
		layer.Chart = nil
	}
	if _, err := spec.ParseChart(layer.Chart); err != nil {
		path := chartPath(err)
		return spec.Layer{}, &layerError{Line: lineOf(document, strings.Split(path, ".")...), Path: path, Message: err.Error() + ".", Hint: fault.Hint(err)}
	}
	return layer, nil
}

var chartField = regexp.MustCompile(`\bchart(\.[A-Za-z]+)+`)

// chartPath finds the field that a fault of ParseChart speaks of.
func chartPath(err error) string {
	if path := chartField.FindString(err.Error()); path != "" {
		return path
	}
	return keyChart
}

// lineOf returns the line of the deepest key of path that exists.
func lineOf(node *yaml.Node, path ...string) int {
	line := node.Line
	for _, key := range path {
		if node = child(node, key); node == nil {
			break
		}
		line = node.Line
	}
	return line
}

func child(node *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// layerText returns the text to edit for what a Secret holds: the administrator's own, comments and all, as long as it still
// says what is stored; else the stored values as YAML.
func layerText(data map[string][]byte) (string, error) {
	stored, err := spec.Decode(spec.LayerUser, data)
	if err != nil {
		return unreadableLayer(data), nil
	}
	if own, err := parseLayer(string(data[textKey])); err == nil && len(data[textKey]) > 0 && sameLayer(own, stored) {
		return string(data[textKey]), nil
	}
	return writeLayer(stored)
}

func sameLayer(a, b spec.Layer) bool {
	same := func(x, y map[string]any) bool { return len(x) == 0 && len(y) == 0 || reflect.DeepEqual(x, y) }
	return same(a.Chart, b.Chart) && same(a.Values, b.Values)
}

// writeLayer writes a layer as YAML; one without content is the empty text, in whose place the pages show an example.
func writeLayer(layer spec.Layer) (string, error) {
	var text bytes.Buffer
	if len(layer.Chart) > 0 {
		if err := writeYAML(&text, keyChart, layer.Chart); err != nil {
			return "", err
		}
	}
	if len(layer.Values) > 0 {
		if err := writeYAML(&text, keyValues, layer.Values); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

func writeYAML(to *bytes.Buffer, key string, content any) error {
	text, err := sigsyaml.Marshal(map[string]any{key: content})
	if err != nil {
		return fmt.Errorf("write %s as YAML: %w", key, err)
	}
	to.Write(text)
	return nil
}

// unreadableLayer shows a layer that somebody else has broken, so that it can be mended here and nothing is lost unseen.
func unreadableLayer(data map[string][]byte) string {
	var text strings.Builder
	text.WriteString("# What is stored cannot be read as JSON; the operator reports SpecResolved=False. It was:\n")
	for _, key := range []string{spec.KeyChart, spec.KeyValues} {
		for line := range strings.Lines(key + ": " + strings.ToValidUTF8(string(data[key]), "?")) {
			text.WriteString("# " + strings.TrimRight(line, "\r\n") + "\n")
		}
	}
	return text.String() + "values: {}\n"
}
