package client_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// corpusFile holds one GraphQL request per line, as the client sent it: of each operation and set of variables one.
const corpusFile = "testdata/corpus.jsonl"

var corpusLock sync.Mutex

// places are what differs from machine to machine.
var places = regexp.MustCompile(`/(?:tmp|root|home|Users|var|work)/[^"\\\\ ,]*`)

// keepCorpus adds what is new to the corpus where the environment variable UPDATE_CORPUS is set.
func keepCorpus(t *testing.T, requests []taped) {
	t.Helper()
	if os.Getenv("UPDATE_CORPUS") == "" {
		return
	}
	corpusLock.Lock()
	defer corpusLock.Unlock()
	known := map[string]bool{}
	lines := readCorpus(t)
	for _, o := range lines {
		known[o.shape()] = true
	}
	for _, r := range requests {
		o, ok := r.operation()
		if !ok || len(r.Body) > 64<<10 || known[o.shape()] {
			continue
		}
		known[o.shape()] = true
		o.Variables = places.ReplaceAll(o.Variables, []byte("/a/path"))
		lines = append(lines, o)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, o := range lines {
		if err := encoder.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(corpusFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// shape is the operation with the names of the variables that are set.
func (o operation) shape() string {
	var variables map[string]json.RawMessage
	_ = json.Unmarshal(o.Variables, &variables) // none is fine
	names := make([]string, 0, len(variables))
	for name, value := range variables {
		if string(value) != "null" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return o.Query + "\x00" + strings.Join(names, " ")
}

func readCorpus(t *testing.T) (operations []operation) {
	t.Helper()
	file, err := os.Open(corpusFile)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var o operation
		if err := json.Unmarshal(scanner.Bytes(), &o); err != nil {
			t.Fatalf("%s: %v", corpusFile, err)
		}
		operations = append(operations, o)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return operations
}

// features are what the server tells the client that it has, as it does by itself.
func (p *program) features(t *testing.T, key string) (on, off []string) {
	t.Helper()
	var answer struct {
		Data struct {
			ServerInfo struct {
				Features []struct {
					Name      string
					IsEnabled bool
				}
			}
		}
	}
	_, body := p.send(t, key, operation{Query: "query ServerFeaturesQuery { serverInfo { features { name isEnabled } } }"})
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	for _, feature := range answer.Data.ServerInfo.Features {
		if feature.IsEnabled {
			on = append(on, feature.Name)
		} else {
			off = append(off, feature.Name)
		}
	}
	return on, off
}

func (p *program) send(t *testing.T, key string, o operation) (status int, body []byte) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/graphql", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("api", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// Whatever the client sent once is understood, also where what it names does not exist, and whatever the server says it has:
// a client that was told otherwise before a restart sends what it did.
func TestRecordedRequestsAreUnderstood(t *testing.T) {
	corpus := readCorpus(t)
	if len(corpus) < 30 {
		t.Fatalf("the corpus holds %d requests: run the tests with UPDATE_CORPUS=1", len(corpus))
	}
	p := serve(t)
	key := strings.TrimPrefix(p.user(t, "ada").Env[1], "WANDB_API_KEY=")
	on, _ := p.features(t, key)
	if len(on) < 10 {
		t.Fatalf("the server has the features %q: they are read wrongly", on)
	}
	p.replay(t, key, corpus)
	for _, feature := range on {
		t.Run("without "+feature, func(t *testing.T) {
			p := serveBehind(t, plain, nil, "--disabled-features", feature)
			key := strings.TrimPrefix(p.user(t, "ada").Env[1], "WANDB_API_KEY=")
			if _, off := p.features(t, key); !slices.Equal(off, []string{feature}) {
				t.Errorf("switched off are %q", off)
			}
			p.replay(t, key, corpus)
		})
	}
}

func (p *program) replay(t *testing.T, key string, corpus []operation) {
	t.Helper()
	for _, o := range corpus {
		status, body := p.send(t, key, o)
		if status != http.StatusOK && status != http.StatusNotFound {
			t.Errorf("answered with %d: %s", status, o.Query)
		}
		if misunderstood(body) {
			t.Errorf("%s is not understood: %s", o.Query, body)
		}
	}
	for line := range strings.Lines(p.logs.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "not supported") {
			t.Errorf("the server logged %s", line)
		}
	}
}

// misunderstood tells whether an answer says that the schema lacks what was asked; that something does not exist is said otherwise.
func misunderstood(answer []byte) bool {
	return bytes.Contains(answer, []byte("GRAPHQL_VALIDATION_FAILED")) || bytes.Contains(answer, []byte("GRAPHQL_PARSE_FAILED"))
}

func TestWhatIsNotUnderstoodIsNoticed(t *testing.T) {
	p := serve(t)
	key := strings.TrimPrefix(p.user(t, "ada").Env[1], "WANDB_API_KEY=")
	const use = `mutation UseArtifact($input: UseArtifactInput!) { useArtifact(input: $input) { artifact { id } } }`
	const input = `"entityName":"ada","projectName":"p","runName":"r","artifactID":"QXJ0aWZhY3Q6MQ=="`
	for sentence, c := range map[string]struct {
		operation
		want bool
	}{
		"a field that there is":               {operation{Query: "{ viewer { id } }"}, false},
		"a field that there is not":           {operation{Query: "{ viewer { noSuchField } }"}, true},
		"an argument that there is not":       {operation{Query: `{ project(noSuch: "x") { id } }`}, true},
		"a text that is no GraphQL":           {operation{Query: "{ viewer { "}, true},
		"a version that is not there":         {operation{Query: use, Variables: json.RawMessage(`{"input":{` + input + `}}`)}, false},
		"a field of a variable that is not":   {operation{Query: use, Variables: json.RawMessage(`{"input":{` + input + `,"noSuchField":1}}`)}, true},
		"a variable that the text has not":    {operation{Query: "{ viewer { id } }", Variables: json.RawMessage(`{"noSuch":1}`)}, false},
		"a variable of a type that fits none": {operation{Query: use, Variables: json.RawMessage(`{"input":7}`)}, true},
	} {
		if _, body := p.send(t, key, c.operation); misunderstood(body) != c.want {
			t.Errorf("%s: %s", sentence, body)
		}
	}
}

// The client asks differently for what it is told that the server does not have, and gets it all the same. Where the corpus is
// written, this is done without each feature by itself as well.
func TestArtifactsWithoutFeatures(t *testing.T) {
	p := serve(t)
	key := strings.TrimPrefix(p.user(t, "ada").Env[1], "WANDB_API_KEY=")
	on, _ := p.features(t, key)
	without := []string{strings.Join(on, ",")}
	if os.Getenv("UPDATE_CORPUS") != "" {
		without = append(without, on...)
	}
	for _, features := range without {
		t.Run("without "+features, func(t *testing.T) {
			p := serveBehind(t, plain, nil, "--disabled-features", features)
			p.ends(t)
			p.runs(t, p.user(t, "ada"), "artifacts.py")
		})
	}
}
