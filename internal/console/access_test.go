package console

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestWhoMaySendWhat(t *testing.T) {
	c := newCluster(t)
	console := startConsole(t, c, nil)
	const signedOut, forbidden = http.StatusUnauthorized, http.StatusForbidden
	tests := []struct {
		method, path string
		body         any
		// anonymous and known are the answers to a visitor and to an administrator, crossSite the one to an administrator
		// whose browser was sent by another site.
		anonymous, known, crossSite int
	}{
		{"GET", "/healthz", nil, 200, 200, 200},
		{"GET", "/ready", nil, 200, 200, 200},
		{"GET", "/session", nil, 200, 200, 200},
		{"POST", "/session", map[string]string{"password": "wrong"}, signedOut, signedOut, forbidden},
		{"DELETE", "/session", nil, 204, 204, forbidden},
		{"GET", "/overview", nil, signedOut, 200, 200},
		{"GET", "/overview/watch", nil, signedOut, 200, 200},
		{"GET", "/spec", nil, signedOut, 200, 200},
		{"PUT", "/spec/user", edit{User: "values: [", Version: "1"}, signedOut, 422, forbidden},
	}
	for _, r := range console.routes() {
		if !slices.ContainsFunc(tests, func(test struct {
			method, path                string
			body                        any
			anonymous, known, crossSite int
		}) bool {
			return test.method == r.method && test.path == r.path
		}) {
			t.Errorf("%s %s is not in this table", r.method, r.path)
		}
	}
	for n, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			visitor, admin, victim := console.browser(t), console.signedIn(t), console.signedIn(t)
			victim.header.Set("Sec-Fetch-Site", "cross-site")
			victim.header.Set("Origin", "https://evil.example.com")
			for who, b := range map[string]*browser{"visitor": visitor, "administrator": admin, "victim": victim} {
				b.header.Set("X-Forwarded-For", "203.0.113."+string(rune('1'+n)))
				want := map[string]int{"visitor": test.anonymous, "administrator": test.known, "victim": test.crossSite}[who]
				ctx, cancel := context.WithCancel(t.Context())
				response, err := b.client.Do(b.request(test.method, test.path, test.body).WithContext(ctx))
				must(t, err)
				if response.StatusCode != want {
					text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
					t.Errorf("%s: %d, want %d: %s", who, response.StatusCode, want, text)
				}
				checkHeaders(t, response.Header)
				cancel()
				_ = response.Body.Close()
			}
		})
	}
}

func checkHeaders(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRequestsOfOtherSites(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	tests := map[string]struct {
		header map[string]string
		// refused means 403; else the edit goes through to 422.
		refused bool
	}{
		"the console's own page":             {header: map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": console.url}},
		"an older browser, by Origin alone":  {header: map[string]string{"Sec-Fetch-Site": "", "Origin": console.url}},
		"another site":                       {header: map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, refused: true},
		"another site in an older browser":   {header: map[string]string{"Sec-Fetch-Site": "", "Origin": "https://evil.example.com"}, refused: true},
		"a neighbour on the same domain":     {header: map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.com"}, refused: true},
		"a sandboxed frame":                  {header: map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "null"}, refused: true},
		"a program that says nothing at all": {header: map[string]string{"Sec-Fetch-Site": ""}, refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := console.signedIn(t)
			request := b.request(http.MethodPut, "/spec/user", edit{User: "values: [", Version: "1"})
			for key, value := range test.header {
				request.Header.Del(key)
				if value != "" {
					request.Header.Set(key, value)
				}
			}
			response, err := b.client.Do(request)
			must(t, err)
			defer response.Body.Close()
			if refused := response.StatusCode == http.StatusForbidden; refused != test.refused {
				t.Errorf("status %d, refused should be %v", response.StatusCode, test.refused)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tests := map[string]struct {
		method, path string
		status       int
		says         string
	}{
		"the pages":                       {"GET", "/console/", 200, "page"},
		"a page below":                    {"GET", "/console/settings", 200, "page"},
		"the base path without its slash": {"GET", "/console", 200, "page"},
		"the root leads to the pages":     {"GET", "/", 302, ""},
		"something else on the host":      {"GET", "/other", 404, ""},
		"an unknown address of the API":   {"GET", "/console/api/nothing", 404, `{"error":`},
		"the API itself":                  {"GET", "/console/api/", 404, `{"error":`},
		"the wrong method":                {"PATCH", "/console/api/session", 405, `{"error":`},
		"a path with dots":                {"GET", "/console/api/../api/spec", 307, ""},
		"HEAD where GET is known":         {"HEAD", "/console/api/healthz", 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), test.method, console.url+test.path, nil)
			must(t, err)
			response, err := client.Do(request)
			must(t, err)
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			must(t, err)
			if response.StatusCode != test.status || !strings.Contains(string(text), test.says) {
				t.Errorf("%d %q, want %d with %q", response.StatusCode, text, test.status, test.says)
			}
			if test.status == 405 && response.Header.Get("Allow") != "DELETE, GET, POST" {
				t.Errorf("Allow is %q", response.Header.Get("Allow"))
			}
		})
	}
}

func TestConsoleHoldsNoMoreRightsThanItNeeds(t *testing.T) {
	c := newCluster(t)
	kube, err := kubernetes.NewForConfig(c.console)
	must(t, err)
	tests := map[string]struct {
		verb, resource, name, namespace string
		allowed                         bool
	}{
		"read the password":              {verb: "get", resource: "secrets", name: "wandb-password", allowed: true},
		"write the user layer":           {verb: "update", resource: "secrets", name: "wandb-spec-user", allowed: true},
		"list Secrets":                   {verb: "list", resource: "secrets"},
		"watch Secrets":                  {verb: "watch", resource: "secrets"},
		"read another Secret":            {verb: "get", resource: "secrets", name: "other"},
		"write the password":             {verb: "update", resource: "secrets", name: "wandb-password"},
		"delete the user layer":          {verb: "delete", resource: "secrets", name: "wandb-spec-user"},
		"read Secrets of others":         {verb: "get", resource: "secrets", name: "wandb-password", namespace: "default"},
		"list pods of others":            {verb: "list", resource: "pods", namespace: "default"},
		"run commands in pods":           {verb: "create", resource: "pods/exec"},
		"read nodes":                     {verb: "list", resource: "nodes"},
		"change roles":                   {verb: "escalate", resource: "roles"},
		"make tokens of other accounts":  {verb: "create", resource: "serviceaccounts/token"},
		"change what the operator wants": {verb: "patch", resource: "weightsandbiases"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace := test.namespace
			if namespace == "" {
				namespace = c.namespace
			}
			resource, sub, _ := strings.Cut(test.resource, "/")
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: test.verb, Resource: resource, Subresource: sub, Name: test.name, Group: groupOf(resource)},
			}}
			got, err := kube.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
			must(t, err)
			if got.Status.Allowed != test.allowed {
				t.Errorf("allowed: %v, want %v (%s)", got.Status.Allowed, test.allowed, got.Status.Reason)
			}
		})
	}
	if _, err := kube.CoreV1().Secrets(c.namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("list Secrets: %v, want forbidden", err)
	}
}

func groupOf(resource string) string {
	switch resource {
	case "weightsandbiases":
		return "apps.wandb.com"
	case "roles":
		return "rbac.authorization.k8s.io"
	}
	return ""
}

func TestMissingRightsAreNamed(t *testing.T) {
	c := newCluster(t)
	must(t, c.admin.RbacV1().RoleBindings(c.namespace).Delete(t.Context(), "wandb-console", metav1.DeleteOptions{}))
	console := startConsole(t, c, nil)
	b := console.browser(t)
	for path, got := range map[string]reply{"/ready": b.get("/ready"), "/session": b.signIn(testPassword)} {
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "console-rbac.md") {
			t.Errorf("%s: %d %s, want 503 that names the page with the Role", path, got.status, got.body)
		}
		if strings.Contains(got.body, "system:serviceaccount") {
			t.Errorf("%s tells a visitor the text of the API server: %s", path, got.body)
		}
	}
}

func TestWithoutTheKubernetesAPI(t *testing.T) {
	c := newCluster(t)
	down := httptest.NewServer(http.NotFoundHandler())
	address := down.URL
	down.Close()
	c.console = &rest.Config{Host: address}
	b := startConsole(t, c, nil).browser(t)
	tests := map[string]struct {
		got    reply
		status int
	}{
		"alive":                 {b.get("/healthz"), http.StatusOK},
		"not ready":             {b.get("/ready"), http.StatusServiceUnavailable},
		"a visitor's session":   {b.get("/session"), http.StatusOK},
		"sign-in":               {b.signIn(testPassword), http.StatusServiceUnavailable},
		"pages are still there": {b.get("/console/"), http.StatusOK},
	}
	for name, test := range tests {
		if test.got.status != test.status {
			t.Errorf("%s: %d, want %d: %s", name, test.got.status, test.status, test.got.body)
		}
	}
	b.header.Set("Cookie", sessionCookie+"=x") // who this is cannot be known now, which is not the same as signed out
	if got := b.get("/overview"); got.status != http.StatusServiceUnavailable {
		t.Errorf("overview with a session: %d, want 503: %s", got.status, got.body)
	}
}

func TestMetrics(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	b := console.signedIn(t)
	b.signIn("wrong")
	b.get("/overview")
	recorder := httptest.NewRecorder()
	console.metrics.handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`wandb_console_sign_ins_total{outcome="accepted"} 1`,
		`wandb_console_sign_ins_total{outcome="refused"} 1`,
		`wandb_console_requests_total{route="/overview",status="200"} 1`,
		`wandb_console_event_streams 0`,
	} {
		if !strings.Contains(recorder.Body.String(), want) {
			t.Errorf("%s is missing from the metrics", want)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	_, err := New(Config{Host: "wandb.example.com", Banners: []byte("{")})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, want := range []string{"RELEASE_NAME", "RELEASE_NAMESPACE", "Kubernetes client", "BANNERS", "HOST"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}
