package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

const (
	// ReasonUnavailable: the provider does not answer, or not as OpenID Connect wants it. It may pass.
	ReasonUnavailable = "ProviderUnavailable"
	// ReasonRefused: the answer of the provider or of the browser proves nothing.
	ReasonRefused = "IdentityRefused"

	// requestTimeout bounds one request to the provider.
	requestTimeout = 10 * time.Second
	// maxAnswer bounds what is read of one answer.
	maxAnswer = 1 << 20
	// refreshAfter is how long a description of the provider is used, and retryAfter how soon one that could not be read is
	// asked for again.
	refreshAfter = time.Hour
	retryAfter   = 3 * time.Second
	// leeway is how far the clocks of provider and server may differ.
	leeway = time.Minute
)

// issuer is an identity provider, described by itself.
type issuer struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu       sync.Mutex
	at       time.Time
	provider *oidc.Provider
	err      error
}

func newIssuer(url string, now func() time.Time) *issuer {
	return &issuer{url: url, now: now, client: &http.Client{Timeout: requestTimeout, Transport: bounded{http.DefaultTransport}}}
}

// describe returns the provider as it describes itself; of several calls at once one asks.
func (i *issuer) describe(ctx context.Context) (*oidc.Provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	age := i.now().Sub(i.at)
	switch {
	case i.err != nil && age < retryAfter:
		return nil, i.err
	case i.err == nil && i.provider != nil && age < refreshAfter:
		return i.provider, nil
	}
	// What is learnt serves everybody, so that a browser that gives up does not end it.
	ctx, cancel := context.WithTimeout(i.context(context.WithoutCancel(ctx)), requestTimeout)
	defer cancel()
	found, err := oidc.NewProvider(ctx, i.url)
	i.at = i.now()
	if err == nil {
		i.provider, i.err = found, nil
		return found, nil
	}
	if i.provider != nil { // the older description is better than none
		return i.provider, nil
	}
	i.err = unavailable("read the description of the identity provider", err)
	return nil, i.err
}

func (i *issuer) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, i.client)
}

// verify checks a token's signature, issuer, audience and time, and returns who it names.
func (i *issuer) verify(ctx context.Context, raw string, audiences []string) (*oidc.IDToken, error) {
	provider, err := i.describe(ctx)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{
		SkipClientIDCheck: true, // checked below, against more than one
		Now:               func() time.Time { return i.now().Add(-leeway) },
	})
	token, err := verifier.Verify(i.context(ctx), raw)
	if err != nil {
		var expired *oidc.TokenExpiredError
		if errors.As(err, &expired) {
			return nil, refused("the identity token has expired: compare the clocks of the server and the provider")
		}
		if ctx.Err() != nil {
			return nil, unavailable("check the identity token", err)
		}
		return nil, refused("the identity token is not valid: " + clip(err.Error()))
	}
	if !slices.ContainsFunc(token.Audience, func(a string) bool { return slices.Contains(audiences, a) }) {
		return nil, refused("the identity token is meant for somebody else")
	}
	return token, nil
}

// claims are what is read of a token, or of the provider's answer about a user.
type claims struct {
	Email         string `json:"email"`
	EmailVerified flag   `json:"email_verified"`
	Login         string `json:"preferred_username"`
	Name          string `json:"name"`
}

func identityOf(issuer, subject string, c claims, trustEmail bool) account.Identity {
	return account.Identity{
		Issuer: issuer, Subject: subject, Email: c.Email, EmailVerified: bool(c.EmailVerified) || trustEmail, Login: c.Login, Name: c.Name,
	}
}

// flag is a boolean that some providers send as a string.
type flag bool

// UnmarshalJSON takes anything but true for false: what cannot be read proves nothing.
func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true" || string(b) == `"true"`
	return nil
}

// bounded cuts off answers that are longer than any that a provider has reason to give.
type bounded struct{ http.RoundTripper }

// RoundTrip sends a request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = limited{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}

type limited struct {
	io.Reader
	io.Closer
}

func unavailable(op string, err error) error {
	return &fault.Error{
		Reason: ReasonUnavailable, Op: op, Retry: true, Err: errors.New(clip(err.Error())),
		Hint: "Check that the server reaches the provider, and OIDC_ISSUER: it must be exactly what the provider calls itself.",
	}
}

func refused(text string) error {
	return &fault.Error{Reason: ReasonRefused, Op: "sign in at the identity provider", Err: errors.New(text), Hint: "Try again from the sign-in page."}
}

// clip bounds what others wrote and keeps it printable, since it goes into logs.
func clip(text string) string {
	const most = 300
	if len(text) > most {
		text = text[:most] + "…"
	}
	return fmt.Sprintf("%+q", text)
}
