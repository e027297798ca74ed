package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
)

// decode reads a request as it comes, which saves a copy of it. Numbers keep their text, and what is missing or null is absent.
func decode(body io.Reader) (*graphql.RawParams, error) {
	var request struct {
		Query         *string        `json:"query"`
		OperationName *string        `json:"operationName"`
		Variables     map[string]any `json:"variables"`
		Extensions    map[string]any `json:"extensions"`
	}
	if err := unmarshalNumbers(body, &request); err != nil {
		return nil, fmt.Errorf("the request body is no GraphQL request: %w", err)
	}
	if request.Query == nil || *request.Query == "" {
		return nil, errors.New("the request body holds no query")
	}
	params := &graphql.RawParams{Query: *request.Query, Variables: request.Variables, Extensions: request.Extensions}
	if request.OperationName != nil { // "" means absent: the client sends it for whatever its Python part asks
		params.OperationName = *request.OperationName
	}
	return params, nil
}

// unmarshalNumbers decodes one JSON value, keeping numbers as they are written: an Int64 does not fit a float.
func unmarshalNumbers(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	switch _, err := decoder.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("there is more than one JSON value")
}

const (
	// cachedDocuments parsed queries are kept, each at most maxCachedQuery long, so that the cache stays below about 20 MB.
	// A client sends some sixty different queries.
	cachedDocuments = 256
	maxCachedQuery  = 8 << 10
)

// documents keeps parsed and validated queries.
type documents struct {
	graphql.Cache[*ast.QueryDocument]
}

func newDocuments() documents {
	return documents{lru.New[*ast.QueryDocument](cachedDocuments)}
}

// Add keeps a query that is not unusually long.
func (d documents) Add(ctx context.Context, query string, document *ast.QueryDocument) {
	if len(query) <= maxCachedQuery {
		d.Cache.Add(ctx, query, document)
	}
}
