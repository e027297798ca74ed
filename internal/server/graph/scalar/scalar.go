// Package scalar writes and reads the values of the schema that are no plain Go type.
package scalar

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// dateTimeLayout is what every generation of the client can read: older ones stop at the seconds.
const dateTimeLayout = "2006-01-02T15:04:05Z"

// MarshalDateTime writes a time in UTC, and the zero time as null.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(dateTimeLayout)))
	})
}

// UnmarshalDateTime reads a time with or without a fraction of a second.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok {
		return time.Time{}, fmt.Errorf("read a DateTime: unexpected %T", v)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("read a DateTime: %w", err)
	}
	return t.UTC(), nil
}

// MarshalJSON writes a JSON value as it stands, and none as null. It must be strict JSON: a NaN in it breaks the answer.
func MarshalJSON(value json.RawMessage) graphql.Marshaler {
	if len(value) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(value) })
}

// UnmarshalJSON keeps a JSON value as text, numbers with every digit.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("read a JSON value: %w", err)
	}
	return text, nil
}
