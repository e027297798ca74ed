package spec

import (
	"encoding/json"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Keys of the Secrets that hold a layer.
const (
	KeyValues   = "values"
	KeyChart    = "chart"
	KeyMetadata = "metadata"
)

// MaxEncodedSize is the most that one layer may take in a Secret. The API server refuses objects above 1.5 MiB in a request
// and Secrets above 1 MiB of data; the rest is room for origins and requests beside it.
const MaxEncodedSize = 768 << 10

// Decode reads a layer from the data of its Secret. Missing keys and the literal null are absent; integers become int64,
// other numbers float64. What cannot be read is a fault LayerInvalid that names layer and key.
func Decode(name string, data map[string][]byte) (Layer, error) {
	layer := Layer{Name: name}
	for key, target := range map[string]any{KeyValues: &layer.Values, KeyChart: &layer.Chart, KeyMetadata: &layer.Metadata} {
		raw := data[key]
		if len(raw) == 0 {
			continue
		}
		if len(raw) > MaxEncodedSize {
			return Layer{}, undecodable(name, key, fmt.Errorf("%d bytes exceed the limit of %d", len(raw), MaxEncodedSize))
		}
		var err error
		if key == KeyMetadata {
			// A plain decode names the offending key's type, and strings need no number handling.
			err = json.Unmarshal(raw, target)
		} else {
			err = utiljson.Unmarshal(raw, target)
		}
		if err != nil {
			return Layer{}, undecodable(name, key, err)
		}
	}
	return layer, nil
}

// Encode writes a layer as the data of its Secret: three JSON documents, never absent. It fails with a fault
// LayerInvalid where the layer is too large for a Secret.
func Encode(layer Layer) (map[string][]byte, error) {
	data := make(map[string][]byte, 3)
	size := 0
	values := layer.Values
	if values == nil {
		values = map[string]any{}
	}
	for key, content := range map[string]any{KeyValues: values, KeyChart: layer.Chart, KeyMetadata: layer.Metadata} {
		raw, err := json.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encode %s of layer %s: %w", key, layer.Name, err)
		}
		data[key] = raw
		size += len(raw)
	}
	if size > MaxEncodedSize {
		return nil, &fault.Error{
			Reason: v1.ReasonLayerInvalid,
			Op:     fmt.Sprintf("encode layer %s: %d bytes exceed the limit of %d", layer.Name, size, MaxEncodedSize),
			Hint:   "Move large texts such as certificate bundles into a ConfigMap and name it in global.caCertsConfigMap.",
		}
	}
	return data, nil
}

func undecodable(layer, key string, cause error) error {
	return &fault.Error{
		Reason: v1.ReasonLayerInvalid,
		Op:     fmt.Sprintf("read %s of layer %s", key, layer),
		Hint:   fmt.Sprintf("The key %q must hold a JSON object, or null.", key),
		Err:    cause,
	}
}
