package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	// SignatureHeader holds "sha256=" and the HMAC-SHA256 of the body in hexadecimal, where there is a signing key.
	SignatureHeader = "X-Kubewandb-Signature"
	// IDHeader holds the notification's ID, which stays the same over attempts.
	IDHeader = "Idempotency-Key"

	// Attempts is how often one notification is sent at most.
	Attempts = 5
	// queueSize bounds what waits while the receiver is away. An installation tells a few things a day.
	queueSize = 256
	// remembered is how many IDs are kept to tell nothing twice while the process lives.
	remembered = 512

	requestTimeout = 10 * time.Second
	// farewellTimeout bounds the last attempts after the process was asked to end.
	farewellTimeout = 5 * time.Second
	backoffBase     = time.Second
	backoffCap      = time.Minute
	maxAnswer       = 16 << 10
	maxHeaders      = 64 << 10
)

// Outcome of a notification, for metrics.
type Outcome string

const (
	// Delivered: the receiver took it.
	Delivered Outcome = "delivered"
	// Failed: the receiver refused it, or every attempt failed.
	Failed Outcome = "failed"
	// Dropped: the queue was full.
	Dropped Outcome = "dropped"
)

// Options of New.
type Options struct {
	// URL returns where notifications go. It is asked before each attempt, so that a rotated URL counts at once.
	URL func() (redact.Secret, error)
	// Key returns the signing key; nil signs nothing.
	Key func() (redact.Secret, error)
	// Kinds that are sent; empty means all.
	Kinds []Kind
	// UserAgent of the requests.
	UserAgent string
	// Logger tells what could not be delivered; nil discards.
	Logger *slog.Logger
	// Report is told what came of each notification; nil where nobody counts.
	Report func(Kind, Outcome)

	// seams for tests

	// Backoff is the pause after the first failed attempt; 0 means one second.
	Backoff time.Duration
	// Timeout bounds one attempt; 0 means ten seconds.
	Timeout time.Duration
}

// Sender delivers notifications one after another. It delivers each at most once as far as it can tell: what a process
// had not delivered when it was killed is lost, and is not told by the next.
type Sender struct {
	options Options
	client  *http.Client
	queue   chan Notification

	mu   sync.Mutex
	told []string
}

// New makes a sender, which delivers while Start runs.
func New(options Options) *Sender {
	if len(options.Kinds) == 0 {
		options.Kinds = Kinds()
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Report == nil {
		options.Report = func(Kind, Outcome) {}
	}
	if options.Backoff == 0 {
		options.Backoff = backoffBase
	}
	if options.Timeout == 0 {
		options.Timeout = requestTimeout
	}
	return &Sender{
		options: options, queue: make(chan Notification, queueSize),
		client: &http.Client{
			Timeout: options.Timeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxHeaders, DisableKeepAlives: true,
				TLSHandshakeTimeout: options.Timeout,
			},
			// A redirect would carry the notification to a place that nobody has set.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Tell queues what changed between two states of a resource's status. It never blocks. A nil sender tells nobody.
func (s *Sender) Tell(key types.NamespacedName, before, after *appsv1.WeightsAndBiasesStatus, now time.Time) {
	if s == nil {
		return
	}
	for _, change := range Changes(before, after, now) {
		n := change.about(key.Namespace, key.Name)
		if !slices.Contains(s.options.Kinds, n.Kind) || !s.isNew(n.ID) {
			continue
		}
		select {
		case s.queue <- n:
		default:
			s.settle(n, Dropped, errors.New("too many notifications wait for the receiver"))
		}
	}
}

// isNew remembers the ID, and tells whether it was unknown: a state that flickers is told once.
func (s *Sender) isNew(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.told, id) {
		return false
	}
	if len(s.told) >= remembered {
		s.told = slices.Delete(s.told, 0, 1)
	}
	s.told = append(s.told, id)
	return true
}

// NeedLeaderElection tells the controller manager to start the sender on the leader only.
func (s *Sender) NeedLeaderElection() bool { return true }

// Start delivers until ctx ends, and then gives what waits one last attempt within a few seconds.
func (s *Sender) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			s.farewell(ctx)
			return nil
		case n := <-s.queue:
			s.deliver(ctx, n)
		}
	}
}

func (s *Sender) farewell(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTimeout)
	defer cancel()
	for {
		select {
		case n := <-s.queue:
			s.conclude(last, n)
		default:
			return
		}
	}
}

// deliver tries until the receiver has taken or refused the notification, the attempts are used up, or ctx ends.
func (s *Sender) deliver(ctx context.Context, n Notification) {
	for attempt := 1; ; attempt++ {
		result := s.post(ctx, n)
		switch {
		case result.err == nil:
			s.settle(n, Delivered, nil)
			return
		case ctx.Err() != nil:
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTimeout)
			defer cancel()
			s.conclude(last, n)
			return
		case result.final, attempt >= Attempts:
			s.settle(n, Failed, result.err)
			return
		}
		pause(ctx, max(result.after, s.backoff(attempt)))
	}
}

// conclude makes the one attempt that is left.
func (s *Sender) conclude(ctx context.Context, n Notification) {
	if result := s.post(ctx, n); result.err != nil {
		s.settle(n, Failed, result.err)
		return
	}
	s.settle(n, Delivered, nil)
}

func (s *Sender) settle(n Notification, outcome Outcome, err error) {
	s.options.Report(n.Kind, outcome)
	if err != nil {
		s.options.Logger.Warn("notification not delivered", "namespace", n.Namespace, "name", n.Name,
			"kind", string(n.Kind), "error", err.Error())
	}
}

// backoff doubles with each attempt, and is spread over half to all of that, so that many operators do not knock at once.
func (s *Sender) backoff(attempt int) time.Duration {
	full := min(s.options.Backoff<<(attempt-1), backoffCap)
	return full/2 + rand.N(full/2+1)
}

func pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// result of one attempt.
type result struct {
	err error
	// final tells that another attempt would end no better.
	final bool
	// after is how long the receiver asks to wait, bounded.
	after time.Duration
}

func (s *Sender) post(ctx context.Context, n Notification) result {
	request, err := s.request(ctx, n)
	if err != nil {
		return result{err: err}
	}
	response, err := s.client.Do(request)
	if err != nil {
		return result{err: fmt.Errorf("send notification: %w", withoutURL(err))}
	}
	defer func() { _ = response.Body.Close() }()
	// What the receiver says is of no use; reading a little lets it finish in good order.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	return judge(response)
}

func judge(response *http.Response) result {
	code := response.StatusCode
	switch {
	case code >= 200 && code < 300:
		return result{}
	case code >= 300 && code < 400:
		return result{final: true, err: fmt.Errorf("send notification: the receiver redirects (%d), and redirects are not followed", code)}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		failure := result{err: fmt.Errorf("send notification: the receiver answered %d", code)}
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			failure.after = min(time.Duration(min(seconds, 3600))*time.Second, backoffCap)
		}
		return failure
	default:
		return result{final: true, err: fmt.Errorf("send notification: the receiver refused it with %d", code)}
	}
}

func (s *Sender) request(ctx context.Context, n Notification) (*http.Request, error) {
	target, err := s.options.URL()
	if err != nil {
		return nil, err // names the file
	}
	body, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("encode notification: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.Reveal(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("make request: the webhook's URL is none") // the cause would repeat the URL
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(IDHeader, n.ID)
	if s.options.UserAgent != "" {
		request.Header.Set("User-Agent", s.options.UserAgent)
	}
	if s.options.Key == nil {
		return request, nil
	}
	key, err := s.options.Key()
	if err != nil {
		return nil, err // names the file
	}
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write(body)
	request.Header.Set(SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return request, nil
}

// withoutURL drops the URL, which is a credential, from an error of the client.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
