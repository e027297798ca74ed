// Package identityprovider starts a real OpenID Connect provider: the npm package oidc-provider in a process of
// its own.
//
// It lives in the user's cache folder, installed once from a lock file that pins every package by hash.
package identityprovider

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/fixture"
	"github.com/kubewandb/kubewandb/test/netns"
)

//go:embed program/package.json program/package-lock.json program/main.mjs
var program embed.FS

const startTimeout = 30 * time.Second

// Client is a program that the provider knows, in the words of OpenID Connect's registration.
type Client struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret,omitempty"`
	RedirectURIs []string `json:"redirect_uris"`
	// AuthMethod is "none" for a public client, and empty for one with a secret.
	AuthMethod string `json:"token_endpoint_auth_method,omitempty"`
}

// User is somebody who can sign in at the provider. A nil EmailVerified says nothing about it.
type User struct {
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
	Name          string `json:"name,omitempty"`
	Login         string `json:"preferred_username,omitempty"`
}

// Options set up a provider.
type Options struct {
	Clients []Client `json:"clients"`
	// Users by what the provider calls them: their subject, and what they type as login.
	Users map[string]User `json:"users"`
	// ClaimsFromUserInfo makes tokens hold no more than the subject.
	ClaimsFromUserInfo bool `json:"claimsFromUserInfo"`
	// Issuer is what the provider calls itself where people reach it through something else; "" is its own address.
	Issuer string `json:"issuer"`
}

// Provider is a running one.
type Provider struct {
	// Issuer is its URL.
	Issuer string
	// Address is the host and port that it listens on.
	Address string

	stop func()
}

// Start runs a provider on loopback until the test ends.
func Start(t testing.TB, options Options) *Provider {
	t.Helper()
	return StartAt(t, netns.Place{Bind: "127.0.0.1"}, options)
}

// StartAt runs a provider at a place.
func StartAt(t testing.TB, place netns.Place, options Options) *Provider {
	t.Helper()
	folder, err := installed()
	if err != nil {
		t.Fatalf("install the identity provider: %v", err)
	}
	cmd := exec.Command("node", filepath.Join(folder, "main.mjs"))
	var output bytes.Buffer
	cmd.Stderr = &output
	input, inErr := cmd.StdinPipe()
	answers, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, startIn(place, cmd)); err != nil {
		t.Fatalf("start the identity provider: %v", err)
	}
	p := &Provider{stop: sync.OnceFunc(func() {
		_ = input.Close() // it ends by itself
		_ = cmd.Wait()
	})}
	t.Cleanup(p.stop)
	guard := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()
	if err := json.NewEncoder(input).Encode(struct {
		Options
		Bind string `json:"bind"`
	}{options, place.Bind}); err != nil {
		t.Fatalf("configure the identity provider: %v", err)
	}
	line, err := bufio.NewReader(answers).ReadBytes('\n')
	var started struct {
		Issuer  string `json:"issuer"`
		Address string `json:"address"`
	}
	if err := errors.Join(err, json.Unmarshal(line, &started)); err != nil {
		p.stop()
		t.Fatalf("the identity provider did not start: %v: %s", err, output.String())
	}
	p.Issuer, p.Address = started.Issuer, started.Address
	return p
}

// startIn starts a program in a network namespace.
func startIn(place netns.Place, cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread has left its namespace
		if err := place.Enter(); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}

// Stop ends it early.
func (p *Provider) Stop() { p.stop() }

// Mint returns a token with these claims that the provider's key has signed.
func (p *Provider) Mint(t testing.TB, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/mint", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("mint a token: %v", err)
	}
	defer response.Body.Close()
	token, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("mint a token: %d %s %v", response.StatusCode, token, err)
	}
	return strings.TrimSpace(string(token))
}

var installed = sync.OnceValues(install)

func install() (string, error) {
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", "main.mjs"} {
		text, err := program.ReadFile("program/" + name)
		if err != nil {
			return "", fmt.Errorf("read the program: %w", err)
		}
		files[name] = text
	}
	return fixture.Node("identityprovider", files)
}
