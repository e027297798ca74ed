package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// maxDepth is deeper than any chart's values, and shallow enough for every program that walks them.
	maxDepth = 64
	// maxExpanded bounds the text once its aliases are written out: a few lines can stand for gigabytes.
	maxExpanded = 2 * maxLayerText
)

// checkDocument refuses what YAML allows and values cannot hold, and what would be stored as something else than it looks
// like.
func checkDocument(root *yaml.Node) error {
	if root.Kind != yaml.MappingNode {
		return &layerError{Line: root.Line, Message: "The text has to be keys with values.", Hint: "Begin with \"values:\"."}
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key := root.Content[i]; key.Value != keyChart && key.Value != keyValues {
			return &layerError{
				Line: key.Line, Path: spec.JoinPath(key.Value),
				Message: fmt.Sprintf("The key %q is not known here.", key.Value),
				Hint:    "Only chart and values stand at the beginning of a line. Settings of the application belong below values.",
			}
		}
	}
	c := &documentCheck{}
	return c.visit(root, nil)
}

// documentCheck walks a document with its aliases followed.
type documentCheck struct{ size int }

func (c *documentCheck) visit(node *yaml.Node, path []string) error {
	c.size += len(node.Value) + 4 // punctuation of JSON
	if c.size > maxExpanded {
		return at(node, path, fmt.Sprintf("The text is longer than %d KiB once its aliases are written out.", maxExpanded>>10), "Use fewer aliases (*name).")
	}
	if len(path) > maxDepth {
		return at(node, path[:maxDepth], fmt.Sprintf("Keys are nested deeper than %d levels.", maxDepth), "")
	}
	switch node.Kind {
	case yaml.MappingNode:
		return c.visitMapping(node, path)
	case yaml.SequenceNode:
		if isMask(node) {
			return maskedValue(node, path)
		}
		for i, item := range node.Content {
			if err := c.visit(item, append(path[:len(path):len(path)], strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	case yaml.AliasNode:
		return c.visit(node.Alias, append(path[:len(path):len(path)], "*")) // deeper, so that a circle ends
	default:
		return checkScalar(node, path)
	}
}

func (c *documentCheck) visitMapping(node *yaml.Node, path []string) error {
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		below := append(path[:len(path):len(path)], key.Value)
		if err := checkKey(key, below); err != nil {
			return err
		}
		if line, twice := seen[key.Value]; twice {
			return at(key, below, fmt.Sprintf("The key %q stands here for the second time; the first is in line %d.", key.Value, line), "Keep one of them.")
		}
		seen[key.Value] = key.Line
		c.size += len(key.Value) + 4
		if err := c.visit(value, below); err != nil {
			return err
		}
	}
	return nil
}

// yaml11Bool are words that Helm and kubectl take for true and false.
var yaml11Bool = regexp.MustCompile(`^(?i:y|yes|n|no|on|off|true|false)$`)

func checkKey(key *yaml.Node, path []string) error {
	quoted := key.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	switch tag := key.ShortTag(); {
	case key.Kind != yaml.ScalarNode:
		return at(key, path[:len(path)-1], "A key has to be a word, not a list or another key.", "")
	case tag == "!!merge":
		return nil
	case key.Value == "":
		return at(key, path[:len(path)-1], "A key is empty.", "Give it a name, or remove the line.")
	case quoted && tag == "!!str", tag == "!!int" && decimal.MatchString(key.Value), tag == "!!str" && !yaml11Bool.MatchString(key.Value):
		return nil
	}
	return at(key, path, fmt.Sprintf("The key %q would not stay text.", key.Value), "Put the key in quotes.")
}

var (
	decimal      = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	wholeNumber  = regexp.MustCompile(`^[-+]?[0-9][0-9_]*$`)
	standardTags = map[string]bool{"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!null": true, "!!timestamp": true, "!!merge": true}
)

func checkScalar(node *yaml.Node, path []string) error {
	if strings.Contains(node.Value, redact.Mask) {
		return maskedValue(node, path)
	}
	tag := node.ShortTag()
	if !standardTags[tag] {
		return at(node, path, "The tag "+tag+" is not known here.", "Write the value without it.")
	}
	if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return nil
	}
	if tag == "!!float" && strings.ContainsAny(strings.ToLower(node.Value), "in") { // .inf and .nan
		return at(node, path, "Values cannot hold infinity or not-a-number.", "Put it in quotes if the application takes it as text.")
	}
	if tag == "!!int" || tag == "!!float" {
		text := strings.ReplaceAll(node.Value, "_", "")
		if _, err := strconv.ParseInt(text, 10, 64); err != nil && wholeNumber.MatchString(node.Value) && len(text) > 18 {
			return at(node, path, "The number is too large to be kept exactly.", "Put it in quotes if the application takes it as text.")
		}
	}
	return nil
}

// isMask recognises the mask without its quotes, which is a list of one word to YAML.
func isMask(node *yaml.Node) bool {
	return node.Style&yaml.FlowStyle != 0 && len(node.Content) == 1 && "["+node.Content[0].Value+"]" == redact.Mask
}

// maskedValue keeps what was copied from the active specification from becoming somebody's password.
func maskedValue(node *yaml.Node, path []string) error {
	return at(node, path, "This is the mask that the console shows in place of a secret, not the secret.", "Write the value itself, or remove the line to keep what the layer below sets.")
}

func at(node *yaml.Node, path []string, message, hint string) error {
	return &layerError{Line: node.Line, Path: spec.JoinPath(path...), Message: message, Hint: hint}
}
