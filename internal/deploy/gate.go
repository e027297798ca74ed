package deploy

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	// minTokenLength keeps an administrator from choosing a token that can be guessed.
	minTokenLength = 20
	// failureBurst wrong tokens are answered at once, further ones of the same address every failureEvery.
	failureBurst = 10
	failureEvery = 3 * time.Second
	maxStrangers = 4096
)

// gate admits administrators by their bearer token.
type gate struct {
	path   string
	logger *slog.Logger

	mu        sync.Mutex
	strangers map[string]*rate.Limiter
}

// newGate checks that the token can be read, after making one where none was configured.
func newGate(config Config, logger *slog.Logger) (*gate, error) {
	g := &gate{path: config.AdminTokenFile, logger: logger, strangers: map[string]*rate.Limiter{}}
	if g.path == "" {
		g.path = filepath.Join(config.DataDir, "admin-token")
		if err := g.ensureToken(); err != nil {
			return nil, fmt.Errorf("make admin token: %w", err)
		}
	}
	if _, err := g.token(); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *gate) ensureToken() error {
	_, err := readSecret(g.path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSecret(g.path, redact.Secret(rand.Text()+rand.Text())); err != nil {
		return err
	}
	g.logger.Info("admin token made", "file", g.path)
	return nil
}

// token reads the file each time, so that a rotated Kubernetes Secret takes effect at once.
func (g *gate) token() (redact.Secret, error) {
	token, err := readSecret(g.path)
	if err == nil && len(token) < minTokenLength {
		err = fmt.Errorf("it has fewer than %d characters", minTokenLength)
	}
	if err != nil {
		return "", &fault.Error{
			Reason: reasonNotReady, Op: "read admin token", Err: err, Retry: true,
			Hint: "Put a random token of at least 20 characters into the file that ADMIN_TOKEN_FILE names.",
		}
	}
	return token, nil
}

// admit returns nil for a request of an administrator.
func (g *gate) admit(r *http.Request) error {
	limiter := g.limiterOf(r)
	if limiter.Tokens() < 1 {
		return &fault.Error{Reason: reasonTooMany, Op: "check admin token", Err: errors.New("too many wrong tokens came from this address"), Hint: "Wait for the time in Retry-After.", Retry: true}
	}
	want, err := g.token()
	if err != nil {
		return err
	}
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// Digests have one length, so the comparison takes the same time whatever was sent.
	digestWant, digestGot := sha256.Sum256([]byte(want.Reveal())), sha256.Sum256([]byte(strings.TrimSpace(got)))
	if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(digestWant[:], digestGot[:]) == 1 {
		return nil
	}
	limiter.Allow()
	return &fault.Error{
		Reason: reasonTokenInvalid, Op: "check admin token", Err: errors.New("the admin token is missing or wrong"),
		Hint: "Give the admin token with --token-file, DEPLOY_TOKEN_FILE or DEPLOY_TOKEN.",
	}
}

// limiterOf returns the limiter of the client that sent the request.
func (g *gate) limiterOf(r *http.Request) *rate.Limiter {
	client := clientOf(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	limiter, ok := g.strangers[client]
	if !ok {
		if len(g.strangers) >= maxStrangers {
			clear(g.strangers)
		}
		limiter = rate.NewLimiter(rate.Every(failureEvery), failureBurst)
		g.strangers[client] = limiter
	}
	return limiter
}

// clientOf is the address of the client. Behind a proxy of a private network, such as an ingress, it is the address that
// this proxy has appended to X-Forwarded-For: else one stranger's wrong tokens would shut out everybody behind the proxy.
// What a client itself writes into the header stands further left and is not believed.
func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if peer := net.ParseIP(host); peer == nil || !(peer.IsPrivate() || peer.IsLoopback()) {
		return host
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if last := net.ParseIP(strings.TrimSpace(forwarded[len(forwarded)-1])); last != nil {
		return last.String()
	}
	return host
}
