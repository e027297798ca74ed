package inspection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// foreign is the origin of a site that has nothing to do with this server. The domain is reserved: nobody can own it.
const foreign = "https://probe.invalid"

// answer is what came back for one request.
type answer struct {
	request string // "GET https://wandb.example.com/login", for messages
	code    int
	header  http.Header
	body    []byte
}

// question is one request.
type question struct {
	method, path string
	// body is JSON; empty for none.
	body    string
	header  map[string]string
	withKey bool
}

// ask makes one request and reads what comes back, whatever its status.
func (t *target) ask(ctx context.Context, q question) (answer, error) {
	a := answer{request: q.method + " " + t.base.String() + q.path}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, q.method, t.base.String()+q.path, strings.NewReader(q.body))
	if err != nil {
		return a, fmt.Errorf("%s: %w", a.request, err)
	}
	request.Header.Set("User-Agent", "kubewandb-probe")
	if q.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range q.header {
		request.Header.Set(name, value)
	}
	if q.withKey {
		request.SetBasicAuth("api", t.key.Reveal())
	}
	response, err := t.client.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // the URL stands in the message already
		}
		return a, fmt.Errorf("%s: %w", a.request, err)
	}
	defer func() { _ = response.Body.Close() }()
	a.code, a.header = response.StatusCode, response.Header
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1)); err != nil {
		return a, fmt.Errorf("%s: read the answer: %w", a.request, err)
	}
	if len(a.body) > maxBody {
		return a, fmt.Errorf("%s: the answer is larger than %d bytes", a.request, maxBody)
	}
	return a, nil
}

// askFor asks for an answer with this status.
func (t *target) askFor(ctx context.Context, status int, q question) (answer, error) {
	a, err := t.ask(ctx, q)
	if err != nil {
		return a, err
	}
	return a, a.expect(status)
}

func (a answer) expect(want int) error {
	if a.code == want {
		return nil
	}
	if location := a.header.Get("Location"); location != "" {
		if target, err := url.Parse(location); err == nil {
			return fmt.Errorf("%s: answered %d and led to %s://%s, want %d", a.request, a.code, target.Scheme, target.Host, want)
		}
	}
	return fmt.Errorf("%s: answered %d, want %d", a.request, a.code, want)
}

// decode reads a JSON answer.
func (a answer) decode(into any) error {
	if kind := a.mediaType(); kind != "application/json" {
		return fmt.Errorf("%s: answered %q in place of JSON", a.request, kind)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%s: answered JSON that cannot be read: %w", a.request, err)
	}
	return nil
}

func (a answer) mediaType() string {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return "nothing that says what it is"
	}
	return kind
}

// ready: the server has its database, with the schema that it needs.
func (t *target) ready(ctx context.Context) error {
	a, err := t.ask(ctx, question{method: http.MethodGet, path: "/ready"})
	if err != nil {
		return err
	}
	var readiness struct{ Status, Reason string }
	if err := a.decode(&readiness); err != nil {
		return errors.Join(a.expect(http.StatusOK), err)
	}
	if readiness.Status != "ready" {
		return fmt.Errorf("%s: the server is %.40s: %.80s", a.request, readiness.Status, readiness.Reason)
	}
	return a.expect(http.StatusOK)
}

// script finds the programs that a page loads from its own server.
var script = regexp.MustCompile(`<script[^>]*\ssrc="(/[^"/][^"]*)"`)

// signIn: a browser gets the page, and what the page is made of.
func (t *target) signIn(ctx context.Context) error {
	page, err := t.askFor(ctx, http.StatusOK, question{method: http.MethodGet, path: "/login"})
	if err != nil {
		return err
	}
	if kind := page.mediaType(); kind != "text/html" {
		return fmt.Errorf("%s: answered %q in place of a page", page.request, kind)
	}
	if len(bytes.TrimSpace(page.body)) == 0 {
		return fmt.Errorf("%s: the page is empty", page.request)
	}
	found := script.FindSubmatch(page.body)
	if found == nil {
		return nil
	}
	source, err := t.askFor(ctx, http.StatusOK, question{method: http.MethodGet, path: string(found[1])})
	if err != nil {
		return err
	}
	if kind := source.mediaType(); !strings.HasSuffix(kind, "javascript") {
		return fmt.Errorf("%s: answered %q in place of a script", source.request, kind)
	}
	return nil
}

// graphQL is the answer of /graphql.
type graphQL struct {
	Data struct {
		Viewer *struct{ Username string }
	}
	Errors []struct{ Message string }
}

// api: both the pages' API and that of the official client answer, and the latter refuses whoever shows no key.
func (t *target) api(ctx context.Context) error {
	session, err := t.askFor(ctx, http.StatusOK, question{method: http.MethodGet, path: "/api/session"})
	if err != nil {
		return err
	}
	var document struct{ Version string }
	if err := session.decode(&document); err != nil {
		return err
	}
	if document.Version == "" {
		return fmt.Errorf("%s: the answer names no version", session.request)
	}
	refusal, err := t.askFor(ctx, http.StatusUnauthorized, question{method: http.MethodPost, path: "/graphql", body: `{"query":"{serverInfo{cliVersionInfo}}"}`})
	if err != nil {
		return err
	}
	var said graphQL
	if err := refusal.decode(&said); err != nil {
		return err
	}
	if len(said.Errors) == 0 {
		return fmt.Errorf("%s: the refusal is no GraphQL", refusal.request)
	}
	return nil
}

// viewer: the client gets an answer with a key.
func (t *target) viewer(ctx context.Context) error {
	a, err := t.ask(ctx, question{
		method: http.MethodPost, path: "/graphql", body: `{"query":"query Viewer{viewer{username} serverInfo{cliVersionInfo}}"}`, withKey: true,
	})
	if err != nil {
		return err
	}
	if a.code == http.StatusUnauthorized {
		return fmt.Errorf("%s: the API key is refused", a.request)
	}
	if err := a.expect(http.StatusOK); err != nil {
		return err
	}
	var said graphQL
	if err := a.decode(&said); err != nil {
		return err
	}
	if len(said.Errors) > 0 {
		return fmt.Errorf("%s: %.200s", a.request, said.Errors[0].Message)
	}
	if said.Data.Viewer == nil || said.Data.Viewer.Username == "" {
		return fmt.Errorf("%s: the answer names no user", a.request)
	}
	return nil
}

// cors: the server's own pages may use a browser's cookie, and no other site may, neither to send nor to read.
func (t *target) cors(ctx context.Context) error {
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		a, err := t.ask(ctx, question{method: method, path: "/api/session", header: map[string]string{"Origin": foreign, "Access-Control-Request-Method": http.MethodPost}})
		if err != nil {
			return err
		}
		if a.code >= http.StatusInternalServerError {
			return a.expect(http.StatusOK)
		}
		allowed := a.header.Get("Access-Control-Allow-Origin")
		if strings.EqualFold(a.header.Get("Access-Control-Allow-Credentials"), "true") && (allowed == "*" || allowed == foreign) {
			return fmt.Errorf("%s: other sites may read answers with a browser's cookie: Access-Control-Allow-Origin is %q with credentials", a.request, allowed)
		}
	}
	own, err := t.sendWithCookie(ctx, t.origin)
	if err != nil {
		return err
	}
	if own.code == http.StatusForbidden {
		return fmt.Errorf("%s: pages of %s are refused: global.host must be the URL that browsers use", own.request, t.origin)
	}
	if err := own.expect(http.StatusUnauthorized); err != nil {
		return err
	}
	other, err := t.sendWithCookie(ctx, foreign)
	if err != nil {
		return err
	}
	if other.code == http.StatusUnauthorized {
		return fmt.Errorf("%s: another site may use a browser's cookie", other.request)
	}
	return other.expect(http.StatusForbidden)
}

// sendWithCookie asks as a page of this origin makes a browser ask. The session in the cookie exists nowhere, so that the
// best answer is 401: who got so far was let in by the rules about origins.
func (t *target) sendWithCookie(ctx context.Context, origin string) (answer, error) {
	return t.ask(ctx, question{
		method: http.MethodPost, path: "/graphql", body: `{"query":"{viewer{id}}"}`, header: map[string]string{"Origin": origin, "Cookie": "wandb_session=probe"},
	})
}
