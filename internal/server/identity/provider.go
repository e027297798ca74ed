package identity

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// AttemptLife is how long somebody may take at the provider.
const AttemptLife = 10 * time.Minute

// Config says who vouches for people and programs.
type Config struct {
	// Issuer is the provider that people sign in at; empty means that they do not.
	Issuer string
	// ClientID names this server to the provider. ClientSecret is empty for a public client.
	ClientID     string
	ClientSecret redact.Secret
	// Scopes are asked for beside openid, profile and email.
	Scopes []string
	// TrustEmail takes every address of the provider as verified, for one that never says so.
	TrustEmail bool
	// TokenIssuers vouch for programs only: their identity tokens are exchanged for access tokens.
	TokenIssuers []string
	// Host is the external URL of this server.
	Host string

	// seams for tests
	Now func() time.Time
}

// Check returns what is wrong with a configuration.
func (c Config) Check() error {
	var problems []error
	if c.Issuer != "" && c.ClientID == "" {
		problems = append(problems, errors.New("OIDC_CLIENT_ID is not set: the provider knows this server by it"))
	}
	if c.Issuer == "" && c.ClientID != "" {
		problems = append(problems, errors.New("OIDC_ISSUER is not set: it is the URL of the identity provider"))
	}
	for _, issuer := range append([]string{c.Issuer}, c.TokenIssuers...) {
		if err := checkIssuer(issuer); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// CheckMethod tells what is wrong with the name of a flow. The implicit flow, which hands tokens to the browser's address
// bar, is accepted in configurations and never used.
func CheckMethod(method string) error {
	switch method {
	case "", "pkce", "implicit":
		return nil
	}
	return fmt.Errorf("OIDC_AUTH_METHOD is %q and must be pkce or implicit", method)
}

func checkIssuer(issuer string) error {
	if issuer == "" {
		return nil
	}
	u, err := url.Parse(issuer)
	local := err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("the issuer %q is no URL of an identity provider", issuer)
	case u.Scheme != "https" && (u.Scheme != "http" || !local):
		return fmt.Errorf("the issuer %q must begin with https://", issuer)
	}
	return nil
}

// Provider signs people in, and checks identity tokens. Its methods may be called from any goroutine.
type Provider struct {
	cfg     Config
	people  *issuer // nil where only programs come
	issuers map[string]*issuer
}

// New returns a provider; nil where nobody vouches for anybody.
func New(cfg Config) *Provider {
	if cfg.Issuer == "" && len(cfg.TokenIssuers) == 0 {
		return nil
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Provider{cfg: cfg, issuers: map[string]*issuer{}}
	for _, url := range cfg.TokenIssuers {
		p.issuers[url] = newIssuer(url, cfg.Now)
	}
	if cfg.Issuer != "" {
		p.people = newIssuer(cfg.Issuer, cfg.Now)
		p.issuers[cfg.Issuer] = p.people
	}
	return p
}

// SignsIn tells whether people sign in at the provider.
func (p *Provider) SignsIn() bool { return p != nil && p.people != nil }

// attempt is what the browser keeps while its user is at the provider.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	// Next is the page to return to.
	Next string `json:"p"`
	// At is when the attempt began, in seconds.
	At int64 `json:"t"`
}

// Begin returns the address of the provider to send a browser to, and what the browser must bring back in a cookie.
func (p *Provider) Begin(ctx context.Context, next string) (address string, ticket redact.Secret, err error) {
	provider, err := p.people.describe(ctx)
	if err != nil {
		return "", "", err
	}
	a := attempt{State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(),
		Next: Local(next), At: p.cfg.Now().Unix()}
	text, err := json.Marshal(a)
	if err != nil {
		return "", "", fmt.Errorf("remember the attempt: %w", err)
	}
	address = p.oauth(provider).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
	return address, redact.Secret(base64.RawURLEncoding.EncodeToString(text)), nil
}

func (p *Provider) oauth(provider *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), Endpoint: provider.Endpoint(),
		RedirectURL: p.cfg.Host + "/oidc/callback", Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, p.cfg.Scopes...),
	}
}

// Finish checks what a browser brings back from the provider, and returns who it is and the page to return to.
func (p *Provider) Finish(ctx context.Context, query url.Values, ticket redact.Secret) (id account.Identity, next string, err error) {
	a, err := p.attempt(ticket)
	if err != nil {
		return account.Identity{}, "", err
	}
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(a.State)) != 1 {
		return account.Identity{}, "", refused("the answer belongs to another attempt")
	}
	if from := query.Get("iss"); from != "" && from != p.cfg.Issuer {
		return account.Identity{}, "", refused("the answer comes from another provider")
	}
	if problem := query.Get("error"); problem != "" {
		return account.Identity{}, "", refused("the provider answered " + clip(problem+": "+query.Get("error_description")))
	}
	ctx, cancel := context.WithTimeout(p.people.context(ctx), 2*requestTimeout)
	defer cancel()
	id, err = p.exchange(ctx, query.Get("code"), a)
	return id, a.Next, err
}

func (p *Provider) attempt(ticket redact.Secret) (attempt, error) {
	var a attempt
	text, err := base64.RawURLEncoding.DecodeString(ticket.Reveal())
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil || a.State == "" || a.Nonce == "" || a.Verifier == "" {
		return attempt{}, refused("this browser has begun no attempt, or accepts no cookies")
	}
	if age := p.cfg.Now().Sub(time.Unix(a.At, 0)); age > AttemptLife {
		return attempt{}, refused("the attempt took too long")
	}
	a.Next = Local(a.Next)
	return a, nil
}

func (p *Provider) exchange(ctx context.Context, code string, a attempt) (account.Identity, error) {
	provider, err := p.people.describe(ctx)
	if err != nil {
		return account.Identity{}, err
	}
	token, err := p.oauth(provider).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return account.Identity{}, exchangeError(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return account.Identity{}, refused("the provider sent no identity token")
	}
	idToken, err := p.people.verify(ctx, raw, []string{p.cfg.ClientID})
	if err != nil {
		return account.Identity{}, err
	}
	if subtle.ConstantTimeCompare([]byte(idToken.Nonce), []byte(a.Nonce)) != 1 {
		return account.Identity{}, refused("the identity token was made for another attempt")
	}
	var c claims
	if err := idToken.Claims(&c); err != nil {
		return account.Identity{}, refused("the identity token cannot be read: " + clip(err.Error()))
	}
	if c.Email == "" && provider.UserInfoEndpoint() != "" {
		if c, err = userInfo(ctx, provider, token, idToken.Subject); err != nil {
			return account.Identity{}, err
		}
	}
	return identityOf(idToken.Issuer, idToken.Subject, c, p.cfg.TrustEmail), nil
}

// userInfo asks the provider about the user where the token says little.
func userInfo(ctx context.Context, provider *oidc.Provider, token *oauth2.Token, subject string) (claims, error) {
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return claims{}, unavailable("ask the identity provider about the user", err)
	}
	if info.Subject != subject {
		return claims{}, refused("the provider told about somebody else")
	}
	var c claims
	if err := info.Claims(&c); err != nil {
		return claims{}, refused("what the provider told about the user cannot be read: " + clip(err.Error()))
	}
	return c, nil
}

// exchangeError tells a provider that refuses from one that does not answer. The answer's body may hold anything and is
// not repeated.
func exchangeError(err error) error {
	var answered *oauth2.RetrieveError
	if !errors.As(err, &answered) {
		return unavailable("exchange the code at the identity provider", err)
	}
	if answered.Response.StatusCode >= http.StatusInternalServerError {
		return unavailable("exchange the code at the identity provider", fmt.Errorf("it answered %d", answered.Response.StatusCode))
	}
	return refused("the provider refused the code: " + clip(answered.ErrorCode+": "+answered.ErrorDescription))
}

// Verify checks the identity token of a program: one of a known issuer, made for this server.
func (p *Provider) Verify(ctx context.Context, raw string) (account.Identity, error) {
	unverified := jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(raw, &unverified); err != nil {
		return account.Identity{}, refused("this is no identity token")
	}
	from, ok := p.issuers[unverified.Issuer] // claimed only: verify checks it
	if !ok {
		return account.Identity{}, refused("this server does not know the issuer of the identity token")
	}
	audiences := []string{p.cfg.Host}
	if from == p.people {
		audiences = append(audiences, p.cfg.ClientID)
	}
	token, err := from.verify(ctx, raw, audiences)
	if err != nil {
		return account.Identity{}, err
	}
	return account.Identity{Issuer: token.Issuer, Subject: token.Subject}, nil
}

// Local returns the path and query of a page of this server, and "/" for anything that could lead elsewhere.
func Local(next string) string {
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || u.Host != "" || u.Scheme != "" ||
		strings.ContainsFunc(next, func(r rune) bool { return r == '\\' || r < ' ' }) || len(next) > 2048 {
		return "/"
	}
	return next
}
