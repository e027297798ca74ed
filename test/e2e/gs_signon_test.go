package e2e

import (
	"net"
	"os"
	"testing"

	"github.com/kubewandb/kubewandb/test/browser"
	"github.com/kubewandb/kubewandb/test/identityprovider"
	"github.com/kubewandb/kubewandb/test/netns"
)

// TestGS1PeopleSignInAtAnIdentityProvider configures single sign-on as an administrator does, with a provider whose certificate
// only the installation's own authority vouches for, and walks there and back in a browser.
func TestGS1PeopleSignInAtAnIdentityProvider(t *testing.T) {
	const client, secret = "wandb", "canary-sso-3f1c"
	url, verified := system.env["WANDB_BASE_URL"], true
	provider := identityprovider.StartAt(t, netns.Node(clusterName), identityprovider.Options{
		Issuer:  "https://" + publicName("sso"),
		Clients: []identityprovider.Client{{ID: client, Secret: secret, RedirectURIs: []string{url + "/oidc/callback"}}},
		Users: map[string]identityprovider.User{
			"grace-sub": {Email: "grace@example.com", EmailVerified: &verified, Login: "grace", Name: "Grace Hopper"},
		},
	})
	host, port, err := net.SplitHostPort(provider.Address)
	must(t, err)
	publish(t, "sso", host, port)
	defer leaveOutside(t, `{"spec":{"values":{"global":{"auth":null,"customCACerts":null}}}}`)
	apply(t, manifest(t, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "e2e-sso", "namespace": namespace},
		"stringData": map[string]string{"OIDC_SECRET": secret},
	}))
	authority, err := os.ReadFile(system.env["CA_FILE"])
	must(t, err)
	configure(t, string(encode(t, map[string]any{"spec": map[string]any{"values": map[string]any{"global": map[string]any{
		"customCACerts": []string{string(authority)},
		"auth": map[string]any{"oidc": map[string]any{
			"issuer": provider.Issuer, "clientId": client, "oidcSecret": map[string]string{"name": "e2e-sso"},
		}},
	}}}})))

	t.Run("a browser", func(t *testing.T) { // which ends before the application goes back
		ctx, page := t.Context(), browser.Open(t, browser.Options{CA: system.env["CA_FILE"]})
		page.Allow("fonts.googleapis.com") // which the provider's pages ask for in vain
		page.Allow(publicName("sso") + "/favicon.ico")
		must(t, browser.SignOn(ctx, page, url, "grace-sub", browser.Account{Name: "Grace Hopper", Username: "grace"}))
		must(t, browser.SignOut(ctx, page, "Grace Hopper"))
		// Passwords keep working beside it.
		must(t, browser.SignIn(ctx, page, url, account))
	})
}
