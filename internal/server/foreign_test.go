package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A page of another site has the browser of somebody who is signed in, and reads nothing with it: no answer lets it use the
// cookie, and only what needs no cookie is open to everybody.
func TestPagesOfOtherSitesReadNothing(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", true)
	eve := s.settle(t, "eve")
	b := s.browser(t)
	b.signIn(t, "ada")
	var file struct {
		Project struct {
			Run struct {
				Files struct {
					Edges []struct{ Node struct{ DirectURL string } }
				}
			}
		}
	}
	s.ask(t, eve.key, `query RunFiles { project(name: "secret", entityName: "eve") { run(name: "r") { files(first: 1) { edges { node { directUrl } } } } } }`, nil, &file)
	object := path(t, file.Project.Run.Files.Edges[0].Node.DirectURL)
	for _, target := range []struct {
		path string
		open bool
	}{
		{"/graphql", false}, {"/api/session", false}, {"/api/keys", false}, {"/api/admin/users", false}, {"/api/nothing", false}, {"/scim/v2/Users", false},
		{"/oidc/login", false}, {"/oidc/token", false}, {"/", false}, {"/eve/secret/runs/r", false}, {"/ready", false}, {"/healthz", false},
		{"/files/eve/secret/r/file_stream", true}, {"/files/eve/secret/r/f.txt", true}, {"/artifacts/eve/" + strings.Repeat("0", 32), true},
		{"/artifactsV2/default/eve/secret/data/x/0/f", true}, {object, true}, {"/storage/x", true},
	} {
		for _, method := range []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE"} {
			for _, origin := range []string{"https://evil.example", "null", "https://wandb.example.test.evil.example", "https://sub.wandb.example.test"} {
				a := b.do(t, &http.Client{Jar: b.client.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, call{
					method: method, path: target.path, header: map[string]string{
						"Origin": origin, "Sec-Fetch-Site": "cross-site", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type",
					},
				})
				allowed := a.header.Get("Access-Control-Allow-Origin")
				if a.header.Get("Access-Control-Allow-Credentials") != "" || allowed != "" && (allowed != "*" || !target.open) {
					t.Errorf("%s %s from %s: %d, allowed to %q, with credentials %q", method, target.path, origin, a.code, allowed, a.header.Get("Access-Control-Allow-Credentials"))
				}
				if target.open && len(a.header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s %s sets a cookie beside what users upload", method, target.path)
				}
			}
		}
	}
	if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: `{"query":"{viewer{id}}"}`}); a.code != http.StatusOK {
		t.Errorf("afterwards: %d %s", a.code, a.body)
	}
}

// Whatever somebody uploads is no page of this host, also where its URL was changed to say so.
func TestUploadsAreNoPages(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", false)
	s.ask(t, key, beginRun, nil, nil)
	for name, content := range map[string]string{
		"media/html/a.html": "<script>alert(1)</script>", "media/images/a.svg": `<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>`, "a.table.json": `{"data":[["<script>"]]}`,
	} {
		var made struct {
			CreateRunFiles struct {
				Files []struct{ Name, UploadURL string }
			}
		}
		s.ask(t, key, `mutation CreateRunFiles($files: [String!]!) { createRunFiles(input: {projectName: "p", runName: "r", files: $files}) { files { name uploadUrl } } }`,
			map[string]any{"files": []string{name}}, &made)
		if a := s.move(t, "PUT", made.CreateRunFiles.Files[0].UploadURL, []string{"Content-Type:text/html"}, content); a.code != http.StatusOK {
			t.Fatalf("upload: %d %s", a.code, a.body)
		}
		s.ask(t, key, `mutation MarkRunFilesUploaded($files: [String!]!) { markRunFilesUploaded(input: {projectName: "p", runName: "r", files: $files}) { success } }`,
			map[string]any{"files": []string{name}}, nil)
		var listed struct {
			Project struct {
				Run struct {
					Files struct {
						Edges []struct{ Node struct{ DirectURL string } }
					}
				}
			}
		}
		s.ask(t, key, `query RunFiles($files: [String]) { project(name: "p", entityName: "ada") { run(name: "r") { files(names: $files) { edges { node { directUrl } } } } } }`,
			map[string]any{"files": []string{name}}, &listed)
		signed := path(t, listed.Project.Run.Files.Edges[0].Node.DirectURL)
		for _, address := range []string{signed, signed + "&response-content-type=text/html&response-content-disposition=inline"} {
			a := s.do(t, http.DefaultClient, call{path: address})
			h := a.header
			if forged := address != signed; forged != (a.code == http.StatusForbidden) {
				t.Errorf("%s: %d %s", address, a.code, a.body)
			}
			if h.Get("Content-Security-Policy") != "sandbox" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" {
				t.Errorf("%s: %d %v", name, a.code, h)
			}
		}
	}
}

// A signature is for one object and one method, until it expires: of a run's file as of the bucket's objects.
func TestForgedAddressesOfFiles(t *testing.T) {
	s := start(t, nil)
	eve := s.settle(t, "eve")
	_, ada := s.createUser(t, "ada", false)
	s.ask(t, ada, beginRun, nil, nil)
	var made struct {
		CreateRunFiles struct{ Files []struct{ UploadURL string } }
	}
	s.ask(t, ada, `mutation CreateRunFiles { createRunFiles(input: {projectName: "p", runName: "r", files: ["../../../../x", "f.txt"]}) { files { uploadUrl } } }`, nil, &made)
	for _, file := range made.CreateRunFiles.Files {
		u, err := url.Parse(file.UploadURL)
		if err != nil || strings.Contains(u.Path, "..") || !strings.HasPrefix(u.Path, "/storage/runs/") {
			t.Errorf("the address of a file is %s, %v", file.UploadURL, err)
		}
	}
	var hers struct {
		Project struct {
			Run struct {
				Files struct {
					Edges []struct{ Node struct{ DirectURL string } }
				}
			}
		}
	}
	s.ask(t, eve.key, `query RunFiles { project(name: "secret", entityName: "eve") { run(name: "r") { files(first: 1) { edges { node { directUrl } } } } } }`, nil, &hers)
	read := path(t, hers.Project.Run.Files.Edges[0].Node.DirectURL)
	object, _, _ := strings.Cut(read, "?")
	mine, grant, _ := strings.Cut(path(t, made.CreateRunFiles.Files[1].UploadURL), "?")
	for sentence, c := range map[string]call{
		"the grant of my upload at her file":      {method: "PUT", path: object + "?" + grant, body: "forged"},
		"the same, to read":                       {path: object + "?" + grant},
		"by a way around my file":                 {method: "PUT", path: mine + "/../../../" + strings.TrimPrefix(object, "/storage/") + "?" + grant, body: "forged"},
		"by dots that are escaped":                {method: "PUT", path: mine + "/%2e%2e/%2e%2e/f.txt?" + grant, body: "forged"},
		"to write where one may read":             {method: "PUT", path: read, body: "forged"},
		"with a life of another length":           {path: strings.Replace(read, "expires=", "expires=9", 1)},
		"as a part of an upload":                  {method: "PUT", path: mine + "?" + grant + "&upload=" + strings.Repeat("A", 26) + "&part=1", body: "forged"},
		"without the signature":                   {path: object},
		"with half of it":                         {path: read[:len(read)-20]},
		"with a key in place of it":               {path: object, key: eve.key},
		"the key by which signatures are made":    {path: "/storage/signing.key?" + grant},
		"a file of the server, by the right sort": {path: "/storage/..%2f..%2fwandb.sqlite?" + grant},
	} {
		if a := s.do(t, http.DefaultClient, c); a.code/100 == 2 || strings.Contains(a.body, canary) {
			t.Errorf("%s: %d %s", sentence, a.code, a.body)
		}
	}
	if a := s.do(t, http.DefaultClient, call{path: read}); a.code != http.StatusOK || a.body != canary {
		t.Errorf("her file afterwards: %d %s", a.code, a.body)
	}
}
