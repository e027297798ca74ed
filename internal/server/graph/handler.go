package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/priority"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
)

const (
	// maxTokens bounds what parsing, validating and answering a query may cost. The client's longest has about 700;
	// introspection is bounded by a rule of its own.
	maxTokens = 4_000
	// maxErrors are told of one query.
	maxErrors = 10
)

// Outcomes of an operation, as Options.Observe hears them.
const (
	OutcomeOK = "ok"
	// OutcomeError: a resolver refused or failed.
	OutcomeError = "error"
	// OutcomeUnsupported: the operation asks for something that the schema does not have.
	OutcomeUnsupported = "unsupported"
	// OutcomeInvalid: the request is no GraphQL, or breaks its rules.
	OutcomeInvalid = "invalid"
	// OutcomeUnavailable: the database did not answer.
	OutcomeUnavailable = "unavailable"
)

// Options set up a Handler.
type Options struct {
	Services
	// DisabledFeatures are features that clients are told this server does not have, so that they ask in the way of older servers.
	DisabledFeatures []string
	// Logger hears of failed resolvers and unsupported operations; nil means slog.Default().
	Logger *slog.Logger
	// Observe, where set, hears of every operation. The name comes from the client and may be anything.
	Observe func(operation, outcome string, took time.Duration)
	// Readers counts the operations that are being answered. Neither a body that comes slowly nor an answer that goes
	// slowly holds up other work.
	Readers *priority.Readers
	// Unavailable answers a request that failed because the database did not answer, in a way that makes the client try
	// again. It must write status and headers; the body follows.
	Unavailable func(w http.ResponseWriter)
}

// Handler answers GraphQL over HTTP POST as the official client speaks it. Authentication is done before: the user is in
// the request's context. The body must be bounded by the caller.
type Handler struct {
	options  Options
	executor *executor.Executor
}

// NewHandler returns a handler for the schema of this package.
func NewHandler(options Options) *Handler {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Readers == nil {
		options.Readers = new(priority.Readers)
	}
	if options.Observe == nil {
		options.Observe = func(string, string, time.Duration) {}
	}
	schema := NewExecutableSchema(Config{Resolvers: &Resolver{options.Services, options.DisabledFeatures}})
	return &Handler{options: options, executor: newExecutor(schema, options.Logger)}
}

func newExecutor(schema graphql.ExecutableSchema, logger *slog.Logger) *executor.Executor {
	e := executor.New(schema)
	e.Use(extension.Introspection{})
	e.SetParserTokenLimit(maxTokens)
	e.SetQueryCache(newDocuments())
	e.SetDefaultRulesFn(lenientRules)
	e.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error { return present(ctx, logger, err) })
	e.SetRecoverFunc(func(ctx context.Context, v any) error {
		logger.ErrorContext(ctx, "GraphQL resolver panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		return errInternal
	})
	return e
}

// ServeHTTP answers one operation.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	params, err := decode(r.Body)
	if err != nil {
		_, _ = io.Copy(io.Discard, r.Body) // or the client sees a broken connection in place of the answer
		status := http.StatusBadRequest
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		WriteError(w, status, err.Error())
		h.options.Observe("", OutcomeInvalid, time.Since(start))
		return
	}
	params.Headers = r.Header
	state := &requestState{}
	ctx := graphql.StartOperationTrace(context.WithValue(r.Context(), stateKey{}, state))
	response, name, outcome := h.run(ctx, params)
	if state.unavailable.Load() {
		outcome = OutcomeUnavailable
	}
	h.write(w, r, response, outcome, state)
	h.options.Observe(name, outcome, time.Since(start))
}

func (h *Handler) run(ctx context.Context, params *graphql.RawParams) (response *graphql.Response, name, outcome string) {
	defer h.options.Readers.Enter()()
	operation, errs := h.executor.CreateOperationContext(ctx, params)
	errs = errs[:min(len(errs), maxErrors)]
	ctx = graphql.WithOperationContext(ctx, operation)
	if len(errs) > 0 {
		name, outcome = claimedName(params), OutcomeInvalid
		if unsupported(errs[0]) {
			outcome = OutcomeUnsupported
			h.options.Logger.WarnContext(ctx, "GraphQL operation is not supported", "operation", name, "lacks", lacking(errs[0]))
		}
		return h.executor.DispatchError(ctx, errs), name, outcome
	}
	handle, ctx := h.executor.DispatchOperation(ctx, operation)
	response, outcome = handle(ctx), OutcomeOK
	if response == nil || len(response.Errors) > 0 {
		outcome = OutcomeError
	}
	return response, operation.Operation.Name, outcome
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, response *graphql.Response, outcome string, state *requestState) {
	if response == nil { // the client hung up
		return
	}
	parts, err := encode(response)
	if err != nil {
		h.options.Logger.ErrorContext(r.Context(), "GraphQL response not encoded", "error", err)
		WriteError(w, http.StatusInternalServerError, errInternal.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case outcome == OutcomeUnavailable && h.options.Unavailable != nil:
		h.options.Unavailable(w)
	case state.gone.Load():
		w.WriteHeader(http.StatusNotFound)
	}
	for _, part := range parts {
		_, _ = w.Write(part) // nobody is left to tell
	}
}

// maxChecked is how many bytes of data are looked through once more before they are sent. More is lines, or statistics of them,
// and nothing else: 10 MB for 100,000 keys.
const maxChecked = 1 << 20

// encode returns the JSON of a response. One that is nothing but data is not copied.
func encode(response *graphql.Response) ([][]byte, error) {
	if len(response.Errors) > 0 || len(response.Extensions) > 0 || len(response.Data) == 0 {
		body, err := json.Marshal(response)
		return [][]byte{body}, err
	}
	if len(response.Data) <= maxChecked && !json.Valid(response.Data) {
		return nil, errors.New("the data is no JSON")
	}
	return [][]byte{[]byte(`{"data":`), response.Data, []byte("}")}, nil
}

// WriteError answers with the form of error that every part of the client reads.
func WriteError(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(map[string]any{"errors": []map[string]string{{"message": message}}})
	if err != nil { // strings always encode
		body = []byte(`{"errors":[{"message":"internal error"}]}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

type stateKey struct{}

// requestState is what resolvers' failures tell the handler.
type requestState struct {
	unavailable atomic.Bool
	// gone: HTTP status 404 is what ends an agent.
	gone atomic.Bool
}

var errInternal = errors.New("internal error")

// present decides what of an error the client sees: its text where it is about the request or a fault that people read;
// nothing of what went wrong inside, which is logged.
func present(ctx context.Context, logger *slog.Logger, err error) *gqlerror.Error {
	var field *account.FieldError
	var parsed *gqlerror.Error
	var known *fault.Error
	shown := graphql.DefaultErrorPresenter(ctx, err)
	switch {
	case errors.As(err, &parsed) && parsed.Err == nil:
		return shown
	case errors.Is(err, errInternal): // logged where it was recovered
	case misshapen(ctx):
		shown.Message = "the value of " + shown.Path.String() + " is not of its type"
	case errors.As(err, &field):
		shown.Message = field.Sentence()
	case fault.Reason(err, "") == store.ReasonUnavailable:
		if state, ok := ctx.Value(stateKey{}).(*requestState); ok {
			state.unavailable.Store(true)
		}
		logger.WarnContext(ctx, "GraphQL resolver found no database", "error", err)
		shown.Message = "the database does not answer"
	case errors.As(err, &known) && known.Retry: // a client gives up at once where it is told of an error with status 200
		if state, ok := ctx.Value(stateKey{}).(*requestState); ok {
			state.unavailable.Store(true)
		}
		logger.WarnContext(ctx, "GraphQL resolver met a failure that may pass", "reason", known.Reason, "error", err)
		shown.Message = fault.Message(known)
	case errors.As(err, &known):
		if state, ok := ctx.Value(stateKey{}).(*requestState); ok && fault.Reason(err, "") == sweep.ReasonGone {
			state.gone.Store(true)
		}
		shown.Message = fault.Message(known) // without the place in the query, which the engine has put before it
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // whoever asked has hung up, as a page does that is left
		shown.Message = "the request was given up"
	default:
		logger.ErrorContext(ctx, "GraphQL resolver failed", "error", err)
		shown.Message = errInternal.Error()
	}
	return shown
}

// misshapen tells whether the arguments of a field could not be read: then it has none, though it was given some.
func misshapen(ctx context.Context) bool {
	field := graphql.GetFieldContext(ctx)
	return field != nil && len(field.Args) == 0 && field.Field.Field != nil && len(field.Field.Arguments) > 0
}

var operationPattern = regexp.MustCompile(`\b(?:query|mutation|subscription)\s+([_A-Za-z][_0-9A-Za-z]*)`)

// claimedName is the name of an operation that was not understood.
func claimedName(params *graphql.RawParams) string {
	if params.OperationName != "" {
		return params.OperationName
	}
	if found := operationPattern.FindStringSubmatch(params.Query); found != nil {
		return found[1]
	}
	return ""
}

// unsupported tells whether a well-formed query was refused by the schema. The official client asks what its own server
// has, so this is something that the schema lacks.
func unsupported(err *gqlerror.Error) bool {
	return err.Extensions["code"] == errcode.ValidationFailed && err.Rule != rules.MaxIntrospectionDepth.Name
}

// lacking names what the schema lacks, without values that the query may hold.
func lacking(err *gqlerror.Error) string {
	switch err.Rule {
	case "FieldsOnCorrectType", "KnownArgumentNames", "KnownTypeNames", "KnownDirectives":
		return err.Message
	}
	return err.Rule
}
