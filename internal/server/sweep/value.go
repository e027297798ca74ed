package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxNodes and maxDepth bound what is read of a configuration, aliases followed.
	maxNodes = 200_000
	maxDepth = 64
)

// reader turns YAML into JSON text that keeps the type of each number: 1 stays 1, 1.0 stays 1.0.
type reader struct{ nodes int }

var (
	errTooLarge = fmt.Errorf("holds more than %d values", maxNodes)
	errTooDeep  = fmt.Errorf("is nested more than %d deep", maxDepth)
)

func (r *reader) json(n *yaml.Node) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := r.write(&b, n, 0); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (r *reader) write(b *bytes.Buffer, n *yaml.Node, depth int) error {
	if r.nodes++; r.nodes > maxNodes {
		return errTooLarge
	}
	if depth > maxDepth {
		return errTooDeep
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.write(b, n.Alias, depth+1)
	case yaml.ScalarNode:
		text, err := scalar(n)
		b.Write(text)
		return err
	case yaml.SequenceNode:
		return r.writeList(b, n, depth)
	case yaml.MappingNode:
		return r.writeObject(b, n, depth)
	}
	return errors.New("is no value")
}

func (r *reader) writeList(b *bytes.Buffer, n *yaml.Node, depth int) error {
	b.WriteByte('[')
	for i, item := range n.Content {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := r.write(b, item, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func (r *reader) writeObject(b *bytes.Buffer, n *yaml.Node, depth int) error {
	b.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		if n.Content[i].Kind != yaml.ScalarNode {
			return errors.New("has a key that is no text")
		}
		b.Write(quote(n.Content[i].Value))
		b.WriteByte(':')
		if err := r.write(b, n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func quote(s string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil { // strings always encode
		return []byte(`""`)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// maxDigits bounds the numbers that are taken exactly.
const maxDigits = 400

func scalar(n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return []byte("null"), nil
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			return nil, errors.New("is no boolean")
		}
		return strconv.AppendBool(nil, v), nil
	case "!!int":
		text := strings.ReplaceAll(strings.TrimPrefix(n.Value, "+"), "_", "")
		v, ok := new(big.Int).SetString(text, 0)
		if !ok || len(text) > maxDigits {
			return nil, fmt.Errorf("holds %.40q, which is no whole number", n.Value)
		}
		return v.Append(nil, 10), nil
	case "!!float":
		return float(n.Value)
	}
	return quote(n.Value), nil
}

func float(text string) ([]byte, error) {
	if len(text) <= maxDigits && json.Valid([]byte(text)) {
		return []byte(text), nil
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil, fmt.Errorf("holds %.40q, which is no finite number", text)
	}
	return floatText(v), nil
}

// floatText writes a number so that Python reads a float.
func floatText(v float64) []byte {
	text := strconv.AppendFloat(nil, v, 'g', -1, 64)
	if !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...)
	}
	return text
}

// number is a bound as it was written.
type number struct {
	value float64
	// whole is set where the text is that of an integer, which whole then holds exactly.
	whole   bool
	integer int64
	text    string
}

func parseNumber(text json.RawMessage) (number, error) {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return number{}, errors.New("must be a number")
	}
	n := number{value: v, text: string(text)}
	if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		n.whole, n.integer = true, i
	}
	return n, nil
}

// decimals is how many digits after the point a number was written with; -1 where it has an exponent.
func (n number) decimals() int {
	if strings.ContainsAny(n.text, "eE") {
		return -1
	}
	_, fraction, _ := strings.Cut(n.text, ".")
	return len(fraction)
}
