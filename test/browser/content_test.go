package browser_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/browser"
)

// theft asks for the secrets of whoever looks at it, and shows them beside a word that its text does not hold.
const theft = `fetch("/graphql",{method:"POST",credentials:"include",headers:{"Content-Type":"application/json"},` +
	`body:JSON.stringify({query:"{viewer{email}}"})}).then(r=>r.text()).then(t=>{document.documentElement.append("sto"+"len "+t)})`

// contents are files that people upload, each with a script. shows is a text that a reader sees; "" for a drawing.
var contents = map[string]struct{ kind, body, shows string }{
	"evil.html": {"text/html", `<!doctype html><title>kept</title><p>an honest page</p><script>` + theft + `</script>`, "an honest page"},
	"evil.svg": {"image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40"><text y="20">an honest drawing</text>` +
		`<script>` + theft + `</script></svg>`, ""},
	"media/table/evil.table.json": {"application/json", `{"columns":["a"],"data":[["<script>` + strings.ReplaceAll(theft, `"`, `\"`) + `</script>"]]}`, "columns"},
}

// TestWhatPeopleUploadReadsNothing opens uploaded pages in the browser of somebody who is signed in: their scripts do not
// run, so that none reads what the reader may read.
func TestWhatPeopleUploadReadsNothing(t *testing.T) {
	i := installApplication(t)
	ctx, p := t.Context(), browser.Open(t, browser.Options{CA: i.ca})
	_, err := browser.Enter(ctx, p, i.url, ada)
	must(t, err)
	key, err := browser.CreateKey(ctx, p, i.url, "uploads")
	must(t, err)
	api := newAPI(t, i, key)
	addresses := api.upload(t)
	p.Allow("Blocked script execution")
	p.Allow("sandbox")
	for name, content := range contents {
		must(t, p.Go(ctx, addresses[name]))
		if content.shows != "" {
			must(t, p.SeeText(ctx, content.shows))
		}
		must(t, p.Shot(ctx, "upload "+filepath.Base(name)))
		text, err := p.Text(ctx)
		must(t, err)
		if strings.Contains(text, "stolen") {
			t.Errorf("%s read what its reader may read: %s", name, text)
		}
	}
	if !p.Saw("Blocked script execution") {
		t.Error("the browser refused no script: were there any?")
	}
	// The application's own page of such a file shows it without running it.
	must(t, p.Go(ctx, i.url+"/ada/uploads/runs/evil/files/evil.html"))
	must(t, p.SeeText(ctx, "evil.html"))
	must(t, p.Shot(ctx, "page of an uploaded file"))
	if text, err := p.Text(ctx); err != nil || strings.Contains(text, "stolen") {
		t.Errorf("the page of a file ran its script: %v %s", err, text)
	}
}

// installApplication is the application alone behind a TLS host.
func installApplication(t *testing.T) *installation {
	t.Helper()
	i, folder, address := &installation{}, t.TempDir(), freeAddress(t)
	i.serveTLS(t, folder, address, address)
	bin, err := programs()
	must(t, err)
	i.stopApplication, _ = start(t, filepath.Join(bin, "server"), "http://"+address+"/ready", "serve",
		"--data-dir", filepath.Join(folder, "data"), "--host", i.url, "--listen", address, "--metrics-listen", "")
	return i
}

// api speaks to the application as the client does.
type api struct {
	url, key string
	http     *http.Client
}

func newAPI(t *testing.T, i *installation, key string) api {
	t.Helper()
	ca, err := os.ReadFile(i.ca)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(i.url, "https://"))
	must(t, err)
	return api{url: i.url, key: key, http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // the host's name is known to browsers only
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}}}
}

func (a api) send(t *testing.T, method, url, kind string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", kind)
	if method == http.MethodPost {
		request.SetBasicAuth("api", a.key)
	}
	response, err := a.http.Do(request)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	must(t, err)
	if response.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s %s", method, url, response.Status, text)
	}
	return text
}

func (a api) ask(t *testing.T, into any, query string, variables map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	must(t, err)
	answer := struct {
		Data   any
		Errors []struct{ Message string }
	}{Data: into}
	must(t, json.Unmarshal(a.send(t, http.MethodPost, a.url+"/graphql", "application/json", body), &answer))
	if len(answer.Errors) > 0 {
		t.Fatalf("%s: %s", query, answer.Errors[0].Message)
	}
}

// upload puts the contents into a run and returns where each is downloaded without a key.
func (a api) upload(t *testing.T) map[string]string {
	t.Helper()
	a.ask(t, nil, `mutation($p:String,$n:String){upsertBucket(input:{modelName:$p,name:$n}){inserted}}`, map[string]any{"p": "uploads", "n": "evil"})
	var names []string
	for name := range contents {
		names = append(names, name)
	}
	var uploads struct {
		CreateRunFiles struct {
			Files []struct{ Name, UploadURL string }
		}
	}
	a.ask(t, &uploads, `mutation($f:[String!]!){createRunFiles(input:{entityName:"ada",projectName:"uploads",runName:"evil",files:$f}){files{name uploadUrl}}}`,
		map[string]any{"f": names})
	for _, file := range uploads.CreateRunFiles.Files {
		content := contents[file.Name]
		a.send(t, http.MethodPut, file.UploadURL, content.kind, []byte(content.body))
	}
	done, err := json.Marshal(map[string]any{"uploaded": names})
	must(t, err)
	a.send(t, http.MethodPost, a.url+"/files/ada/uploads/evil/file_stream", "application/json", done)
	var listed struct {
		Project struct {
			Run struct {
				Files struct {
					Edges []struct {
						Node struct{ Name, DirectURL string }
					}
				}
			}
		}
	}
	a.ask(t, &listed, `query{project(name:"uploads",entityName:"ada"){run(name:"evil"){files{edges{node{name directUrl}}}}}}`, nil)
	addresses := map[string]string{}
	for _, edge := range listed.Project.Run.Files.Edges {
		addresses[edge.Node.Name] = edge.Node.DirectURL
	}
	if len(addresses) != len(contents) {
		t.Fatalf("%d of %d files are listed: %v", len(addresses), len(contents), addresses)
	}
	return addresses
}
