package replicas

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// connections are kept between requests, as clients keep them.
var connections = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute}}

// fields are the variables of an operation, or the names in a body.
type fields map[string]any

// reply is an answer to a request.
type reply struct {
	status int
	body   []byte
}

// get reads a value of the body by its path.
func (r reply) get(path string) gjson.Result { return gjson.GetBytes(r.body, path) }

// send posts a body; an error tells that no answer came.
func (v visitor) send(ctx context.Context, address string, body []byte, header ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, v.patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.SetBasicAuth("api", v.key)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := connections.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, body: text}, err
}

// query is the body of an operation, by its name or by its text.
func (v visitor) query(operation string, variables fields) []byte {
	text, known := v.operations[operation]
	if !known {
		text = operation
	}
	body, err := json.Marshal(fields{"query": text, "variables": variables})
	if err != nil {
		return nil // the server refuses it
	}
	return body
}

// ask sends an operation to a replica, which must answer it.
func (v visitor) ask(t testing.TB, to *serverprocess.Process, operation string, variables fields, header ...string) reply {
	t.Helper()
	return insist(t, operation, func() (reply, error) {
		return v.send(t.Context(), to.URL+"/graphql", v.query(operation, variables), header...)
	})
}

// insist sends something again where a machine that does much else has no answer in time, as clients do.
func insist(t testing.TB, what string, send func() (reply, error)) reply {
	t.Helper()
	for began := time.Now(); ; {
		r, err := send()
		if err == nil && r.status == http.StatusOK && !r.get("errors").Exists() {
			return r
		}
		if err == nil && !again(r.status) || time.Since(began) > giveUp {
			t.Fatalf("%s: %d %s %v", what, r.status, r.body, err)
		}
		if err := pause(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// streamAddress is where a run's metrics go.
func streamAddress(to *serverprocess.Process, entity, project, run string) string {
	return fmt.Sprintf("%s/files/%s/%s/%s/file_stream", to.URL, entity, url.PathEscape(project), run)
}

// stream sends metrics of a run in ada's project to a replica, which must acknowledge them.
func (v visitor) stream(t testing.TB, to *serverprocess.Process, run string, body fields, header ...string) reply {
	t.Helper()
	return insist(t, "metrics of "+run, func() (reply, error) { return v.tell(t.Context(), to, run, body, header...) })
}

// tell sends metrics of a run.
func (v visitor) tell(ctx context.Context, to *serverprocess.Process, run string, body fields, header ...string) (reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	return v.send(ctx, streamAddress(to, entity, project, run), text, header...)
}

const entity, project = "ada", "some runs"

// names of the files of file_stream.
const (
	historyFile = "wandb-history.jsonl"
	eventsFile  = "wandb-events.jsonl"
	summaryFile = "wandb-summary.json"
	consoleFile = "output.log"
)

// lines is what a body of file_stream holds of one file.
func lines(offset int64, content ...string) fields {
	return fields{"offset": offset, "content": content}
}

// follow reads or writes what a signed URL leads to.
func follow(t testing.TB, method, signed string, header []string, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, signed, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ":")
		request.Header.Set(name, value)
	}
	response, err := connections.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s %v", method, signed, response.Status, text, err)
	}
	return string(text)
}

// headerOf are the lines that an upload must carry.
func headerOf(values []gjson.Result) []string {
	header := make([]string, len(values))
	for i, v := range values {
		header[i] = v.String()
	}
	return header
}

// md5Of is a digest as the client writes it.
func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// newSlowBody is a body that takes some time to be sent.
func newSlowBody(text string, takes time.Duration) io.Reader {
	r, w := io.Pipe()
	go func() {
		ticker := time.NewTicker(takes / time.Duration(len(text)))
		defer ticker.Stop()
		for i := range len(text) {
			<-ticker.C
			if _, err := io.WriteString(w, text[i:i+1]); err != nil {
				return // the reader has gone
			}
		}
		_ = w.Close() // of a pipe this never fails
	}()
	return r
}
