package scim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/scim2/filter-parser/v2"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

const (
	// maxBody bounds a request: a team of some ten thousand members.
	maxBody = 2 << 20
	// defaultCount resources stand on a page, and maxCount at most.
	defaultCount = 100
	maxCount     = 200

	contentType = "application/scim+json"
)

// Options set up a Handler.
type Options struct {
	Accounts *account.Service
	// Host is the external URL of the server.
	Host string
	// Fail answers with an error that is none of SCIM's: the database does not answer, say.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

type handler struct {
	Options
	base string
}

// Handler answers everything below /scim/. Directories that insist on a version in the address use /scim/v2/.
func Handler(o Options) http.Handler {
	h := handler{Options: o, base: o.Host + "/scim/v2"}
	mux := http.NewServeMux()
	for _, prefix := range []string{"/scim", "/scim/v2"} {
		h.route(mux, prefix)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.failed(w, r, notFound()) })
	return mux
}

func (h handler) route(mux *http.ServeMux, prefix string) {
	fixed := func(value any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, value) }
	}
	mux.HandleFunc("GET "+prefix+"/ServiceProviderConfig", fixed(providerConfig(h.base)))
	for path, list := range map[string][]any{"/ResourceTypes": resourceTypes(h.base), "/Schemas": schemas(h.base)} {
		mux.HandleFunc("GET "+prefix+path, fixed(listOfAll(list)))
		for _, item := range list {
			mux.HandleFunc("GET "+prefix+path+"/"+item.(tree)["id"].(string), fixed(item))
		}
	}
	h.routeResource(mux, prefix+"/Users", resource{h.listUsers, h.getUser, h.createUser, h.replaceUser, h.patchUser, h.deleteUser})
	h.routeResource(mux, prefix+"/Groups", resource{h.listGroups, h.getGroup, h.createGroup, h.replaceGroup, h.patchGroup, h.deleteGroup})
}

// resource is what can be done with one kind of resource.
type resource struct {
	list    func(ctx context.Context, q query) (page, error)
	get     func(ctx context.Context, r *http.Request) (tree, error)
	create  func(ctx context.Context, resource tree) (tree, error)
	replace func(ctx context.Context, r *http.Request, resource tree) (tree, error)
	patch   func(ctx context.Context, r *http.Request, operations []operation) (tree, error)
	remove  func(ctx context.Context, r *http.Request) error
}

func (h handler) routeResource(mux *http.ServeMux, path string, kind resource) {
	on := func(pattern string, status int, act func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			value, err := act(r)
			if err != nil {
				h.failed(w, r, err)
				return
			}
			write(w, status, value)
		})
	}
	on("GET "+path, http.StatusOK, func(r *http.Request) (any, error) {
		q, err := parseQuery(r.URL.Query())
		if err != nil {
			return nil, err
		}
		found, err := kind.list(r.Context(), q)
		return found.answer(q), err
	})
	on("GET "+path+"/{id}", http.StatusOK, func(r *http.Request) (any, error) { return kind.get(r.Context(), r) })
	on("POST "+path, http.StatusCreated, func(r *http.Request) (any, error) {
		var sent tree
		if err := read(r, &sent); err != nil {
			return nil, err
		}
		return kind.create(r.Context(), sent)
	})
	on("PUT "+path+"/{id}", http.StatusOK, func(r *http.Request) (any, error) {
		var sent tree
		if err := read(r, &sent); err != nil {
			return nil, err
		}
		return kind.replace(r.Context(), r, sent)
	})
	on("PATCH "+path+"/{id}", http.StatusOK, func(r *http.Request) (any, error) {
		var sent struct {
			Operations []operation `json:"Operations"`
		}
		if err := read(r, &sent); err != nil {
			return nil, err
		}
		return kind.patch(r.Context(), r, sent.Operations)
	})
	on("DELETE "+path+"/{id}", http.StatusNoContent, func(r *http.Request) (any, error) { return nil, kind.remove(r.Context(), r) })
}

// query is what a list is asked for.
type query struct {
	filter         filter.Expression
	start, count   int
	withoutMembers bool
}

func parseQuery(values url.Values) (query, error) {
	q := query{start: 1, count: defaultCount}
	var err error
	if q.filter, err = parseFilter(values.Get("filter")); err != nil {
		return query{}, &scimError{status: http.StatusBadRequest, kind: "invalidFilter", detail: "the filter cannot be read"}
	}
	for name, into := range map[string]*int{"startIndex": &q.start, "count": &q.count} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		if *into, err = strconv.Atoi(text); err != nil {
			return query{}, invalidValue(name + " is no number")
		}
	}
	q.start, q.count = max(1, q.start), min(max(0, q.count), maxCount)
	for _, name := range strings.Split(values.Get("excludedAttributes"), ",") {
		q.withoutMembers = q.withoutMembers || strings.EqualFold(strings.TrimSpace(name), "members")
	}
	return q, nil
}

// page is a part of a list.
type page struct {
	total     int
	resources []any
}

// collector puts what passes the filter and lies on the page into it.
type collector struct {
	page
	query query
}

func newPage(q query) *collector { return &collector{page: page{resources: []any{}}, query: q} }

func (c *collector) add(resource func() tree) {
	r := resource()
	if !matches(c.query.filter, r) {
		return
	}
	c.total++
	if c.total >= c.query.start && len(c.resources) < c.query.count {
		c.resources = append(c.resources, r)
	}
}

func (p page) answer(q query) tree {
	return tree{
		"schemas": []any{messageList}, "totalResults": p.total, "startIndex": q.start, "itemsPerPage": len(p.resources), "Resources": p.resources,
	}
}

func listOfAll(list []any) tree {
	return page{total: len(list), resources: list}.answer(query{start: 1})
}

func read(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &scimError{status: http.StatusRequestEntityTooLarge, detail: "the request is too large"}
	}
	if err != nil {
		return &scimError{status: http.StatusBadRequest, kind: "invalidSyntax", detail: "the request is no JSON of this form"}
	}
	return nil
}

func write(w http.ResponseWriter, status int, value any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	text, err := json.Marshal(value)
	if err != nil { // comes from JSON, or is a constant
		status, text = http.StatusInternalServerError, []byte(`{}`)
	}
	if created, ok := value.(tree); ok && status == http.StatusCreated {
		meta, _ := created["meta"].(tree)
		w.Header().Set("Location", textOf(meta, "location"))
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(text) // nobody is left to tell
}

// scimError is a failure in the words of the standard.
type scimError struct {
	status       int
	kind, detail string
}

// Error is the detail.
func (e *scimError) Error() string { return e.detail }

func notFound() error {
	return &scimError{status: http.StatusNotFound, detail: "there is no such resource"}
}

func conflict(detail string) error {
	return &scimError{status: http.StatusConflict, kind: "uniqueness", detail: detail}
}

func invalidValue(detail string) error {
	return &scimError{status: http.StatusBadRequest, kind: "invalidValue", detail: detail}
}

func invalidPath(err error) error {
	kind := "invalidSyntax"
	if errors.Is(err, errPath) {
		kind = "invalidPath"
	}
	return &scimError{status: http.StatusBadRequest, kind: kind, detail: err.Error()}
}

func (h handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	var failure *scimError
	var field *account.FieldError
	switch reason := fault.Reason(err, ""); {
	case errors.As(err, &failure):
	case errors.As(err, &field) && reason == account.ReasonTaken:
		failure = &scimError{status: http.StatusConflict, kind: "uniqueness", detail: field.Error()}
	case errors.As(err, &field):
		failure = &scimError{status: http.StatusBadRequest, kind: "invalidValue", detail: field.Error()}
	case reason == account.ReasonInUse:
		failure = &scimError{status: http.StatusConflict, detail: fault.Message(err) + ". " + fault.Hint(err)}
	case reason == account.ReasonNotFound:
		failure = &scimError{status: http.StatusNotFound, detail: "there is no such resource"}
	default:
		h.Fail(w, r, err)
		return
	}
	answer := tree{"schemas": []any{messageError}, "status": strconv.Itoa(failure.status), "detail": failure.detail}
	if failure.kind != "" {
		answer["scimType"] = failure.kind
	}
	write(w, failure.status, answer)
}
