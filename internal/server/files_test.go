package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// path is what of a URL of the external host is asked of the server under test.
func path(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host != "wandb.example.test" {
		t.Fatalf("%q is no address of this server: %v", address, err)
	}
	return u.RequestURI()
}

func TestARunsFileIsDownloadedByThoseWhoMayReadIt(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, ada := s.createUser(t, "ada", false)
		_, bob := s.createUser(t, "bob", false)
		follow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		for _, query := range []string{
			`mutation{upsertBucket(input:{modelName:"p q",name:"r"}){inserted}}`,
			`mutation{createRunFiles(input:{projectName:"p q",runName:"r",files:["d/a b%.txt ","late"]}){files{name uploadUrl}}}`,
		} {
			if a := s.graphql(t, ada, query); a.code != http.StatusOK || strings.Contains(a.body, `"errors"`) {
				t.Fatalf("%s: %d %s", query, a.code, a.body)
			}
		}
		var created struct {
			Data struct {
				CreateRunFiles struct {
					Files []struct{ Name, UploadURL string }
				}
			}
		}
		s.graphql(t, ada, `mutation{createRunFiles(input:{projectName:"p q",runName:"r",files:["d/a b%.txt "]}){files{name uploadUrl}}}`).decode(t, &created)
		upload := path(t, created.Data.CreateRunFiles.Files[0].UploadURL)
		if a := s.do(t, follow, call{method: http.MethodPut, path: upload, body: "hello"}); a.code != http.StatusOK {
			t.Fatalf("upload: %d %s", a.code, a.body)
		}
		s.graphql(t, ada, `mutation{markRunFilesUploaded(input:{projectName:"p q",runName:"r",files:["d/a b%.txt "]}){success}}`)

		const file = "/files/ada/p%20q/r/d/a%20b%25.txt%20"
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := s.do(t, follow, call{method: method, path: file, key: ada})
			if a.code != http.StatusFound || a.header.Get("Access-Control-Allow-Origin") != "*" {
				t.Fatalf("%s: %d %s", method, a.code, a.body)
			}
			// The key goes along with the redirect, and harms nothing.
			if a := s.do(t, follow, call{path: path(t, a.header.Get("Location")), key: ada}); a.code != http.StatusOK || a.body != "hello" {
				t.Errorf("download: %d %s", a.code, a.body)
			}
		}
		for sentence, c := range map[string]struct {
			call call
			want int
		}{
			"nobody":                      {call{path: file}, http.StatusUnauthorized},
			"a key that nobody has":       {call{path: file, key: strings.Repeat("0", 40)}, http.StatusUnauthorized},
			"another user":                {call{path: file, key: bob}, http.StatusNotFound},
			"a file that is not sent yet": {call{path: "/files/ada/p%20q/r/late", key: ada}, http.StatusNotFound},
			"a run that is not there":     {call{path: "/files/ada/p%20q/x/late", key: ada}, http.StatusNotFound},
			"a project that is not there": {call{path: "/files/ada/x/r/late", key: ada}, http.StatusNotFound},
			"a file outside of the run":   {call{path: "/files/ada/p%20q/r/..%2f..%2f..%2fwandb.sqlite", key: ada}, http.StatusNotFound},
			"no file":                     {call{path: "/files/ada/p%20q/r/", key: ada}, http.StatusNotFound},
			"another method":              {call{method: http.MethodDelete, path: file, key: ada}, http.StatusNotFound},
			"a browser that asks first":   {call{method: http.MethodOptions, path: file, header: map[string]string{"Origin": "https://elsewhere.example"}}, http.StatusNoContent},
		} {
			a := s.do(t, follow, c.call)
			if a.code != c.want || (a.code == http.StatusNotFound && !strings.Contains(a.body, `"error"`)) {
				t.Errorf("%s: %d %s, want %d", sentence, a.code, a.body, c.want)
			}
			if a.code == http.StatusNoContent && (a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Credentials") != "") {
				t.Errorf("%s: %v", sentence, a.header)
			}
		}
	})
}
