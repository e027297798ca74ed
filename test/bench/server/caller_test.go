package server

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// ledger is what clients were told: of each connection, by its port at the client, what every answer has acknowledged.
type ledger struct {
	mu      sync.Mutex
	answers map[int][]func(*promises)
}

func (l *ledger) note(port int, acknowledged func(*promises)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[port] = append(l.answers[port], acknowledged)
}

// promises are what a server has acknowledged.
type promises struct {
	key string
	// lines are what was logged to a run at each step.
	lines map[string][]string
	// objects are bytes that lie in the bucket, files those of run-0 by name, artifact those of bench/project/data:latest.
	objects         []string
	files, artifact map[string]string
}

// caller sends requests one after the other, over a connection of its own, as the official client does.
type caller struct {
	tb     testing.TB
	client *http.Client
	url    string
	key    string
	ledger *ledger
}

func newCaller(tb testing.TB, url, key string, l *ledger) *caller {
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return &caller{tb: tb, client: &http.Client{Transport: transport, Timeout: patience}, url: url, key: key, ledger: l}
}

// send returns the answer to a request, and notes what it acknowledges. Any other answer than success is returned as an error.
func (c *caller) send(method, address string, header http.Header, body string, acknowledged func(*promises)) ([]byte, error) {
	port := 0
	ctx := httptrace.WithClientTrace(c.tb.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		port = info.Conn.LocalAddr().(*net.TCPAddr).Port
	}})
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if c.key != "" && r.Header.Get("Cookie") == "" {
		r.SetBasicAuth("api", c.key)
	}
	response, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s is answered %s: %s", method, address, response.Status, text)
	}
	if set := response.Header.Get("Set-Cookie"); set != "" {
		header.Set("Cookie", strings.SplitN(set, ";", 2)[0])
	}
	c.ledger.note(port, acknowledged)
	return text, nil
}

// ask sends a GraphQL operation and decodes what is under data.
func (c *caller) ask(query string, variables any, into any, acknowledged func(*promises)) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	text, err := c.send(http.MethodPost, c.url+"/graphql", http.Header{"Content-Type": {"application/json"}}, string(body), acknowledged)
	if err != nil {
		return err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%.60s: %s", query, answer.Errors[0].Message)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Data, into)
}

// setUp makes the first administrator of a new server, and a key.
func (c *caller) setUp() error {
	header := http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"same-origin"}}
	_, err := c.send(http.MethodPost, c.url+"/api/setup", header, `{"username":"bench","email":"bench@example.com","password":"violet rocket 9"}`, nil)
	if err != nil {
		return err
	}
	var made struct{ Key string }
	text, err := c.send(http.MethodPost, c.url+"/api/keys", header, `{}`, func(p *promises) { p.key = made.Key })
	if err != nil {
		return err
	}
	err = json.Unmarshal(text, &made)
	c.key = made.Key
	return err
}

func (c *caller) upsert(run string) error {
	return c.ask(`mutation UpsertBucket($run: String) { upsertBucket(input: {modelName: "project", name: $run}) { inserted } }`,
		map[string]any{"run": run}, nil, func(p *promises) { p.lines[run] = append([]string{}, p.lines[run]...) })
}

// stream sends a body of a file_stream request.
func (c *caller) stream(run string, body any, acknowledged func(*promises)) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = c.send(http.MethodPost, fmt.Sprintf("%s/files/bench/project/%s/file_stream", c.url, run), nil, string(text), acknowledged)
	return err
}

// log sends the n-th line of a run, whose step is n.
func (c *caller) log(run string, n int, pad string) error {
	line := fmt.Sprintf(`{"_step":%d,"pad":%q}`, n, pad)
	body := map[string]any{"files": map[string]any{"wandb-history.jsonl": map[string]any{"offset": n, "content": []string{line}}}}
	return c.stream(run, body, func(p *promises) { p.lines[run] = append(p.lines[run], pad) })
}

type target struct {
	UploadURL     string
	UploadHeaders []string
	Artifact      struct{ ID string }
}

// put follows a signed URL.
func (c *caller) put(to target, content string) error {
	header := http.Header{}
	for _, line := range to.UploadHeaders {
		name, value, _ := strings.Cut(line, ":")
		header.Set(name, value)
	}
	_, err := c.send(http.MethodPut, to.UploadURL, header, content, func(p *promises) { p.objects = append(p.objects, content) })
	return err
}

// upload puts a file of a run into the bucket and says so in the stream, as the client does.
func (c *caller) upload(run, name, content string) error {
	var made struct {
		CreateRunFiles struct{ Files []target }
	}
	err := c.ask(`mutation CreateRunFiles($run: String!, $files: [String!]!) { createRunFiles(input: {entityName: "bench", projectName: "project", runName: $run, files: $files}) {
		files { uploadUrl } } }`, map[string]any{"run": run, "files": []string{name}}, &made, nil)
	if err != nil {
		return err
	}
	if err := c.put(made.CreateRunFiles.Files[0], content); err != nil {
		return err
	}
	return c.stream(run, map[string]any{"uploaded": []string{name}}, func(p *promises) { p.files[name] = content })
}

const (
	createArtifact = `mutation CreateArtifact($run: String, $client: ID!) { createArtifact(input: {entityName: "bench", projectName: "project", runName: $run, artifactTypeName: "dataset",
		artifactCollectionName: "data", digest: "d", digestAlgorithm: MANIFEST_MD5, clientID: $client, sequenceClientID: "s",
		aliases: [{artifactCollectionName: "data", alias: "latest"}]}) { artifact { id } } }`
	createFiles = `mutation CreateArtifactFiles($files: [CreateArtifactFileSpecInput!]!) { createArtifactFiles(input: {artifactFiles: $files, storageLayout: V2}) {
		files { edges { node { uploadUrl uploadHeaders artifact { id } } } } } }`
	createManifest = `mutation CreateArtifactManifest($id: ID!, $digest: String!, $run: String!) { createArtifactManifest(input: {artifactID: $id, name: "wandb_manifest.json",
		digest: $digest, entityName: "bench", projectName: "project", runName: $run, type: FULL}) { artifactManifest { file { uploadUrl uploadHeaders } } } }`
	commitArtifact = `mutation CommitArtifact($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id } } }`
)

func digest(content string) string {
	sum := md5.Sum([]byte(content))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// commit makes a version of an artifact from files.
func (c *caller) commit(run string, files map[string]string) error {
	var created struct {
		CreateArtifact struct{ Artifact struct{ ID string } }
	}
	if err := c.ask(createArtifact, map[string]any{"run": run, "client": "client-of-" + run}, &created, nil); err != nil {
		return err
	}
	id := created.CreateArtifact.Artifact.ID
	contents := map[string]any{}
	for name, content := range files {
		var made struct {
			CreateArtifactFiles struct {
				Files struct{ Edges []struct{ Node target } }
			}
		}
		spec := map[string]any{"artifactID": id, "name": name, "md5": digest(content)}
		if err := c.ask(createFiles, map[string]any{"files": []any{spec}}, &made, nil); err != nil {
			return err
		}
		to := made.CreateArtifactFiles.Files.Edges[0].Node
		if err := c.put(to, content); err != nil {
			return err
		}
		contents[name] = map[string]any{"digest": digest(content), "size": len(content), "birthArtifactID": to.Artifact.ID}
	}
	manifest, err := json.Marshal(map[string]any{
		"version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": map[string]any{"storageLayout": "V2"}, "contents": contents,
	})
	if err != nil {
		return err
	}
	var made struct {
		CreateArtifactManifest struct{ ArtifactManifest struct{ File target } }
	}
	if err := c.ask(createManifest, map[string]any{"id": id, "digest": digest(string(manifest)), "run": run}, &made, nil); err != nil {
		return err
	}
	if err := c.put(made.CreateArtifactManifest.ArtifactManifest.File, string(manifest)); err != nil {
		return err
	}
	return c.ask(commitArtifact, map[string]any{"id": id}, nil, func(p *promises) { p.artifact = files })
}

// get reads from an address, which may lead elsewhere, at the server that is called.
func (c *caller) get(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	here, err := url.Parse(c.url)
	if err != nil {
		return "", err
	}
	u.Scheme, u.Host = here.Scheme, here.Host
	text, err := c.send(http.MethodGet, u.String(), nil, "", nil)
	return string(bytes.Clone(text)), err
}
