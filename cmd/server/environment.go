package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/server/identity"
)

// identityFlags are those of the identity provider, and of who may make what.
func (s *settings) identityFlags(f *pflag.FlagSet) {
	i, policy := &s.Identity, &s.IdentityPolicy
	f.StringVar(&i.Issuer, "oidc-issuer", "", "URL of the OpenID Connect provider that people sign in at; empty means passwords only")
	f.StringVar(&i.ClientID, "oidc-client-id", "", "name by which the provider knows this server")
	f.Var((*secret)(&i.ClientSecret), "oidc-client-secret", "secret of this server at the provider; empty for a public client; better as a variable")
	f.Var((*secret)(&i.ClientSecret), "oidc-secret", "another name of --oidc-client-secret")
	f.Var(authMethod{}, "oidc-auth-method", "pkce or implicit; the code flow with PKCE is used for both, as the safe one")
	f.StringSliceVar(&i.Scopes, "oidc-custom-scopes", nil, "scopes to ask for beside openid, profile and email")
	f.BoolVar(&i.TrustEmail, "oidc-trust-email", false, "take every address of the provider as verified, for one that never says so")
	f.BoolVar(&policy.LinkByEmail, "oidc-link-by-email", false, "let who proves a verified address at the provider use the account that has it")
	f.BoolVar(&s.noProvisioning, "disable-sso-provisioning", false, "make no account at the first sign-in at the provider")
	f.StringSliceVar(&i.TokenIssuers, "identity-token-issuers", nil, "URLs of further issuers whose identity tokens programs exchange for access tokens")
	f.BoolVar(&s.AllowTeamCreation, "allow-user-team-creation", false, "let everybody make teams, not only administrators")
}

// applyIdentity turns what flags deny into what the policy allows.
func (s *settings) applyIdentity() { s.IdentityPolicy.Provision = !s.noProvisioning }

// authMethod is a flag that is checked and changes nothing.
type authMethod struct{}

var _ pflag.Value = authMethod{}

// Set refuses what no installation can mean.
func (authMethod) Set(value string) error { return identity.CheckMethod(value) }
func (authMethod) String() string         { return "" }

// Type is the kind of value.
func (authMethod) Type() string { return "string" }

// knownOtherwise are flags whose variables installations of the hosted product's server set with a prefix.
var knownOtherwise = []string{"allow-user-team-creation", "oidc-client-id", "oidc-issuer", "oidc-secret", "oidc-custom-scopes"}

// fromEnvironment sets each configuration flag that the command line leaves alone from its variable. Flags that are
// arguments of one call, such as --username, have none.
func fromEnvironment(cmd *cobra.Command, lookup commandline.Lookup) error {
	err := commandline.FromEnvironment(cmd.InheritedFlags(), variablesOf, lookup)
	if cmd.Name() == "serve" || cmd.Name() == "probe" {
		err = errors.Join(err, commandline.FromEnvironment(cmd.LocalFlags(), variablesOf, lookup))
	}
	return err
}

func variablesOf(flag *pflag.Flag) []string {
	names := commandline.Named(flag)
	if slices.Contains(knownOtherwise, flag.Name) {
		names = append(names, "GORILLA_"+names[0])
	}
	return names
}
