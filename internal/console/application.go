package console

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/singleflight"

	"github.com/kubewandb/kubewandb/internal/version"
)

const (
	// applicationCookie is the application's own session; nothing else of the browser's cookies is passed on to it.
	applicationCookie = "wandb_session"

	applicationDeadline = 2 * time.Second
	// acceptedMemory is how long an administrator stays signed in after the application has said no.
	acceptedMemory = 30 * time.Second
	// refusedMemory keeps an application that is down or slow from delaying every request of a page.
	refusedMemory = 3 * time.Second
	// applicationCalls bounds how many questions are open at once.
	applicationCalls = 8
	// answersKept bounds the memory of answers.
	answersKept = 1024
	userNameLen = 128
)

// application asks the application who its session cookie belongs to. It never fails: an application that is away, slow or
// talks nonsense means that nobody is signed in that way.
type application struct {
	url    string // empty: never asked
	client *http.Client
	now    func() time.Time
	flight singleflight.Group
	slots  chan struct{}

	mu      sync.Mutex
	answers map[cookieHash]applicationAnswer
}

// cookieHash stands for a session cookie in memory.
type cookieHash [sha256.Size]byte

type applicationAnswer struct {
	name     string // empty: no administrator
	accepted bool
	until    time.Time
}

func newApplication(service string, now func() time.Time) *application {
	a := &application{
		client: &http.Client{
			Timeout:       applicationDeadline,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// Inside the cluster there is no proxy to go through; HTTP_PROXY is for the outside.
			Transport: &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 32 << 10},
		},
		now:     now,
		slots:   make(chan struct{}, applicationCalls),
		answers: map[cookieHash]applicationAnswer{},
	}
	if service != "" {
		a.url = "http://" + service + "/oidc/auth"
	}
	return a
}

// administrator returns who is signed in to the application as an administrator.
func (a *application) administrator(ctx context.Context, r *http.Request) (user, bool) {
	cookie, hash, ok := applicationSession(r)
	if !ok || a.url == "" {
		return user{}, false
	}
	known, ok := a.remembered(hash)
	if !ok {
		known = a.ask(ctx, cookie, hash)
	}
	return user{Name: known.name, Method: methodApplication}, known.accepted
}

// applicationSession returns the application's session cookie of a request and its hash.
func applicationSession(r *http.Request) (*http.Cookie, cookieHash, bool) {
	cookie, err := r.Cookie(applicationCookie)
	if err != nil || cookie.Value == "" {
		return nil, cookieHash{}, false
	}
	return cookie, sha256.Sum256([]byte(cookie.Value)), true
}

func (a *application) remembered(hash cookieHash) (applicationAnswer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.answers[hash]
	return known, ok && a.now().Before(known.until)
}

// ask puts the question once for all requests that carry the same cookie at the same time.
func (a *application) ask(ctx context.Context, cookie *http.Cookie, hash cookieHash) applicationAnswer {
	result := a.flight.DoChan(string(hash[:]), func() (any, error) {
		// The answer serves others too, so that it outlives the request that came first.
		found := a.request(context.WithoutCancel(ctx), cookie)
		a.remember(hash, found)
		return found, nil
	})
	select {
	case <-ctx.Done():
		return applicationAnswer{}
	case r := <-result:
		found, _ := r.Val.(applicationAnswer)
		return found
	}
}

func (a *application) request(ctx context.Context, cookie *http.Cookie) applicationAnswer {
	refused := applicationAnswer{until: a.now().Add(refusedMemory)}
	ctx, cancel := context.WithTimeout(ctx, applicationDeadline)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return refused
	}
	header, err := a.fetch(ctx, cookie)
	if err != nil {
		return refused
	}
	name := displayName(header)
	return applicationAnswer{name: name, accepted: name != "", until: a.now().Add(acceptedMemory)}
}

func (a *application) fetch(ctx context.Context, cookie *http.Cookie) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.AddCookie(&http.Cookie{Name: applicationCookie, Value: cookie.Value, Quoted: cookie.Quoted})
	request.Header.Set("User-Agent", version.UserAgent("console"))
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask application: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10)) // so that the connection can be used again
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask application: status %d", response.StatusCode)
	}
	return response.Header, nil
}

func (a *application) remember(hash cookieHash, found applicationAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) >= answersKept {
		a.makeRoom()
	}
	a.answers[hash] = found
}

// makeRoom drops what is out of date, and everything where that is not enough: the next request asks again.
func (a *application) makeRoom() {
	now := a.now()
	for hash, known := range a.answers {
		if !now.Before(known.until) {
			delete(a.answers, hash)
		}
	}
	if len(a.answers) >= answersKept {
		clear(a.answers)
	}
}

// displayName takes the user's name, or else the address, as one printable line; "" where the application named nobody.
func displayName(header http.Header) string {
	for _, key := range []string{"X-Wandb-User-Name", "X-Wandb-User-Email"} {
		name := strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(header.Get(key), "")))
		if runes := []rune(name); len(runes) > userNameLen {
			name = string(runes[:userNameLen])
		}
		if name != "" {
			return name
		}
	}
	return ""
}
