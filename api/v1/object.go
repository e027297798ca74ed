package v1

import (
	"bytes"
	"encoding/json"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Object is a JSON object of free form. It keeps the bytes that the API server sent, so that reading and writing a resource
// never rounds a number and never loses a null.
//
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
type Object struct {
	// Raw is the JSON text of one object; empty where the field is absent.
	Raw json.RawMessage `json:"-"`
}

var (
	_ json.Marshaler   = Object{}
	_ json.Unmarshaler = (*Object)(nil)
)

// ObjectOf returns the Object that holds content; a nil map gives the absent object.
func ObjectOf(content map[string]any) (Object, error) {
	if content == nil {
		return Object{}, nil
	}
	raw, err := json.Marshal(content)
	if err != nil {
		return Object{}, fmt.Errorf("encode object: %w", err)
	}
	return Object{Raw: raw}, nil
}

// Map returns a fresh map of the content; integers are int64 and other numbers float64, as in Kubernetes' own
// unstructured objects. The absent object and a JSON null give a nil map.
func (o Object) Map() (map[string]any, error) {
	if o.IsZero() {
		return nil, nil
	}
	var content map[string]any
	if err := utiljson.Unmarshal(o.Raw, &content); err != nil {
		return nil, fmt.Errorf("decode object: %w", err)
	}
	return content, nil
}

// IsZero tells whether the field is absent; an empty object {} is present.
func (o Object) IsZero() bool {
	return len(o.Raw) == 0 || bytes.Equal(o.Raw, []byte("null"))
}

// MarshalJSON writes the bytes as they were read.
func (o Object) MarshalJSON() ([]byte, error) {
	if len(o.Raw) == 0 {
		return []byte("null"), nil
	}
	return o.Raw, nil
}

// UnmarshalJSON keeps a copy of the bytes; their form is checked where they are read.
func (o *Object) UnmarshalJSON(data []byte) error {
	o.Raw = append(json.RawMessage(nil), data...)
	return nil
}
