package webui

import (
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestBuiltPages checks what web/ built, where it was built: a checkout without Node still passes its other tests.
func TestBuiltPages(t *testing.T) {
	sites := map[string]struct {
		handler  http.Handler
		basePath string
	}{
		"app":     {App(), ""},
		"console": {Console("/console"), "/console"},
	}
	for name, site := range sites {
		t.Run(name, func(t *testing.T) {
			response := get(t, site.handler, http.MethodGet, site.basePath+"/", "Accept", browserAccept)
			body := bodyOf(t, response)
			if response.StatusCode == http.StatusServiceUnavailable {
				t.Skip("the pages are not built: run make web")
			}
			if !strings.Contains(body, `<meta name="base-path" content="`+site.basePath+`">`) {
				t.Errorf("index.html does not name its base path:\n%s", body)
			}
			if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style| on[a-z]+="`).FindString(body); inline != "" {
				t.Errorf("index.html has what the policy refuses: %s", inline)
			}
			references := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(body, -1)
			if len(references) < 3 {
				t.Fatalf("index.html refers to %d files:\n%s", len(references), body)
			}
			for _, reference := range references {
				if got := get(t, site.handler, http.MethodGet, reference[1], "Accept", "*/*"); got.StatusCode != http.StatusOK {
					t.Errorf("index.html refers to %s, which answers %d", reference[1], got.StatusCode)
				}
			}
		})
	}
}

// externalURL finds what a page could load from elsewhere. Namespaces, and addresses that stand in messages of libraries,
// are no requests.
var (
	externalURL = regexp.MustCompile(`https?://[A-Za-z0-9.-]+`)
	knownText   = map[string]bool{
		"http://www.w3.org":       true, // namespaces of SVG and MathML
		"http://localhost":        true, // a base that paths are resolved against
		"https://react.dev":       true, // explains the numbers of errors, as the next two do
		"https://mantine.dev":     true,
		"https://reactrouter.com": true,
		"https://github.com":      true, // where React Router's message to very old browsers finds what they lack
	}
)

func TestBuiltPagesNameNoOtherHost(t *testing.T) {
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch path.Ext(name) {
		case ".js", ".css", ".html", ".svg":
		default:
			return nil
		}
		body, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		for _, found := range externalURL.FindAllString(string(body), -1) {
			if !knownText[found] {
				t.Errorf("%s names %s", name, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
