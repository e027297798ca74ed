package client_test

import (
	"bufio"
	"bytes"
	"encoding/json"
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

// Whatever the client sent once is understood, also where what it names does not exist.
func TestRecordedRequestsAreUnderstood(t *testing.T) {
	corpus := readCorpus(t)
	if len(corpus) < 30 {
		t.Fatalf("the corpus holds %d requests: run the tests with UPDATE_CORPUS=1", len(corpus))
	}
	p := serve(t)
	home := p.user(t, "ada")
	key := strings.TrimPrefix(home.Env[1], "WANDB_API_KEY=")
	for _, o := range corpus {
		body, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/graphql", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("api", key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotFound {
			t.Errorf("answered with %d: %s", response.StatusCode, body)
		}
	}
	for line := range strings.Lines(p.logs.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "not supported") {
			t.Errorf("the server logged %s", line)
		}
	}
}
