package identity_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/identity"
)

func TestConfigurations(t *testing.T) {
	for sentence, tt := range map[string]struct {
		cfg  identity.Config
		want string
	}{
		"none":                             {identity.Config{}, ""},
		"a provider":                       {identity.Config{Issuer: "https://id.example/realms/a", ClientID: "wandb"}, ""},
		"a provider on this machine":       {identity.Config{Issuer: "http://127.0.0.1:9000", ClientID: "wandb"}, ""},
		"programs only":                    {identity.Config{TokenIssuers: []string{"https://token.example"}}, ""},
		"a provider without a client":      {identity.Config{Issuer: "https://id.example"}, "OIDC_CLIENT_ID"},
		"a client without a provider":      {identity.Config{ClientID: "wandb"}, "OIDC_ISSUER"},
		"a provider without encryption":    {identity.Config{Issuer: "http://id.example", ClientID: "wandb"}, "https://"},
		"a provider with a query":          {identity.Config{Issuer: "https://id.example?x=y", ClientID: "wandb"}, "no URL"},
		"an issuer of tokens that is none": {identity.Config{TokenIssuers: []string{"token.example"}}, "no URL"},
	} {
		err := tt.cfg.Check()
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", sentence, err, tt.want)
		}
	}
	for method, ok := range map[string]bool{"": true, "pkce": true, "implicit": true, "hybrid": false} {
		if err := identity.CheckMethod(method); (err == nil) != ok {
			t.Errorf("method %q: %v", method, err)
		}
	}
}

func FuzzLocalLeadsNowhereElse(f *testing.F) {
	for _, next := range []string{"/", "/a?b=c#d", "//evil", `/\evil`, "https://evil", "javascript:x", "/%2f/evil", "/\tx", "", "/a//b", "/:@evil"} {
		f.Add(next)
	}
	base, _ := url.Parse("https://wandb.example")
	f.Fuzz(func(t *testing.T, next string) {
		local := identity.Local(next)
		u, err := base.Parse(local)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || !strings.HasPrefix(local, "/") || strings.HasPrefix(local, "//") ||
			strings.ContainsAny(local, "\\\r\n\t") {
			t.Errorf("%q leads to %q", next, local)
		}
	})
}

// Whatever a browser brings, nothing is sent to the provider before it proves that it began the attempt.
func FuzzForeignTickets(f *testing.F) {
	f.Add("", "", "")
	f.Add("x", "y", base64.RawURLEncoding.EncodeToString([]byte(`{"s":"y","n":"n"}`)))
	f.Add("code", "other", base64.RawURLEncoding.EncodeToString([]byte(`{"s":"y","n":"n","v":"v","p":"//evil","t":99999999999}`)))
	f.Fuzz(func(t *testing.T, code, state, ticket string) {
		p := identity.New(identity.Config{Issuer: "http://127.0.0.1:9", ClientID: "wandb", Host: "https://wandb.example"})
		_, _, err := p.Finish(t.Context(), url.Values{"code": {code}, "state": {state}}, redact.Secret(ticket))
		switch fault.Reason(err, "") {
		case identity.ReasonRefused, identity.ReasonUnavailable:
		default:
			t.Errorf("it ends with %v", err)
		}
	})
}
