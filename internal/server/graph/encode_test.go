package graph

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

func TestAResponseIsOneObject(t *testing.T) {
	long := `{"keys":"` + strings.Repeat("k", maxChecked) + `"}`
	for name, test := range map[string]struct {
		response graphql.Response
		want     string // "" for an error
	}{
		"data":             {graphql.Response{Data: json.RawMessage(`{"run":{"name":"a<b"}}`)}, `{"data":{"run":{"name":"a<b"}}}`},
		"long data":        {graphql.Response{Data: json.RawMessage(long)}, `{"data":` + long + `}`},
		"data and errors":  {graphql.Response{Data: json.RawMessage(`{"run":null}`), Errors: gqlerror.List{{Message: "no"}}}, `{"errors":[{"message":"no"}],"data":{"run":null}}`},
		"errors":           {graphql.Response{Errors: gqlerror.List{{Message: "no"}}}, `{"errors":[{"message":"no"}],"data":null}`},
		"extensions":       {graphql.Response{Data: json.RawMessage(`{}`), Extensions: map[string]any{"a": 1}}, `{"data":{},"extensions":{"a":1}}`},
		"what is no JSON":  {graphql.Response{Data: json.RawMessage(`{"x":NaN}`)}, ""},
		"nothing but null": {graphql.Response{}, `{"data":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			parts, err := encode(&test.response)
			if got := string(bytes.Join(parts, nil)); err != nil && test.want != "" || err == nil && got != test.want {
				t.Errorf("got %.200s, %v, want %.200s", got, err, test.want)
			}
		})
	}
}
