package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
)

// Digest identifies chart and values: "sha256:" and 64 hexadecimal digits. Metadata and origins do not count, so that a
// release which only got a new name is no new specification.
func (r *Resolved) Digest() string {
	return digestOf(map[string]any{"chart": r.ChartFields, "values": r.Values})
}

// ValuesDigest identifies values as a Helm release keeps them. Helm's storage reads every number as float64; integers
// beyond its precision are therefore compared at that precision.
func ValuesDigest(values map[string]any) string {
	return digestOf(roundLarge(values))
}

// digestOf hashes canonical JSON: keys sorted, no spaces, 3306 and 3306.0 alike.
func digestOf(content any) string {
	raw, err := json.Marshal(content)
	if err != nil {
		// Resolve refuses what JSON cannot hold; what is left is a caller's own map. An identity that nothing else has
		// makes the caller act rather than rest.
		raw = fmt.Appendf(nil, "%#v: %v", content, err)
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func roundLarge(value any) any {
	const exact = 1 << 53
	switch v := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(v))
		for key, item := range v {
			result[key] = roundLarge(item)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, item := range v {
			result[i] = roundLarge(item)
		}
		return result
	case int64:
		if v > exact || v < -exact {
			return float64(v)
		}
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= exact {
			return int64(v)
		}
		return v
	default:
		return value
	}
}
