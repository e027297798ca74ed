// Package deploy is the deploy server: channels and the releases they offer, licences, and the Helm repository of the
// charts that releases install.
//
// A vendor runs one for all customers; a customer without internet may run their own. Everything lives in one folder.
// What channels offer is also kept in memory, so that a held request costs a goroutine and no query.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// MaxWait is the longest time for which a request is held: below the usual 60 s idle limit of load balancers
	// plus the time to answer.
	MaxWait = 60 * time.Second
	// DefaultMaxHeld bounds held requests; at about 25 KiB each, ten thousand fit into 256 MiB.
	DefaultMaxHeld = 10_000
	// shutdownTime is how long answers under way may take after the server was told to stop.
	shutdownTime = 15 * time.Second
)

// Config is what an administrator sets.
type Config struct {
	// Listen is the TCP address of the HTTP server, for example ":8080".
	Listen string
	// DataDir holds everything that is kept. It is made when absent.
	DataDir string
	// ExternalURL is how customers reach the server; releases carry it as the URL of the Helm repository.
	ExternalURL string
	// AdminTokenFile holds the admin token; it is read anew for each request. Empty means DataDir/admin-token, which
	// is made at the first start.
	AdminTokenFile string
	// LicenseKeyFile is a PKCS #8 PEM file with the Ed25519 key that signs licences. Empty means keys in DataDir/keys,
	// of which the first is made at the first start.
	LicenseKeyFile string
	// MaxHeld bounds held requests; 0 means DefaultMaxHeld.
	MaxHeld int
	// Logger is required.
	Logger *slog.Logger
}

// Server is a deploy server. It holds its data folder alone from New until Close.
type Server struct {
	config   Config
	external *url.URL
	store    *store
	keys     *licenseKeys
	board    *board
	contacts *contacts
	revoked  *revocations
	metrics  *metrics
	gate     *gate
	holding  *holding
	logger   *slog.Logger
	handler  http.Handler

	// changing serialises whatever changes what channels offer, so that memory follows the database in its order.
	changing sync.Mutex

	// seams for tests
	now func() time.Time
}

// New opens the data folder and prepares the server.
func New(ctx context.Context, config Config) (_ *Server, err error) {
	external, err := url.Parse(config.ExternalURL)
	if err != nil || external.Host == "" || (external.Scheme != "http" && external.Scheme != "https") {
		return nil, &fault.Error{
			Reason: "ExternalURLInvalid", Op: "read external URL", Err: fmt.Errorf("%q is no http or https URL", config.ExternalURL),
			Hint: "Set EXTERNAL_URL to the URL at which customers reach this server, for example https://deploy.example.com.",
		}
	}
	if config.MaxHeld == 0 {
		config.MaxHeld = DefaultMaxHeld
	}
	s := &Server{
		config: config, external: external, logger: config.Logger, now: time.Now,
		board: newBoard(), contacts: newContacts(), revoked: newRevocations(),
		metrics: newMetrics(), holding: newHolding(config.MaxHeld),
	}
	s.store, err = openStore(ctx, config.DataDir)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.handler = s.routes()
	return s, nil
}

// prepare makes what a first start lacks and loads what is kept in memory.
func (s *Server) prepare(ctx context.Context) (err error) {
	if s.keys, err = loadLicenseKeys(s.config); err != nil {
		return err
	}
	if s.gate, err = newGate(s.config, s.logger); err != nil {
		return err
	}
	if err := s.ensureDefaultChannel(ctx); err != nil {
		return err
	}
	if err := s.loadRevocations(ctx); err != nil {
		return err
	}
	return s.refreshBoard(ctx)
}

// Handler serves the whole HTTP API.
func (s *Server) Handler() http.Handler { return s.handler }

// Close releases the data folder.
func (s *Server) Close() error { return s.store.close() }

// Serve answers on listener until ctx ends. Held requests are then answered at once with 304, so that followers turn
// to the server that takes over, and other answers are finished.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.handler,
		// There is no ReadTimeout: it would end held requests. Handlers set deadlines for the bodies they read.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	renewing, stopRenewing := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { s.keepSigned(renewing) })
	defer background.Wait()
	defer stopRenewing()
	s.logger.Info("deploy server is serving", "address", listener.Addr().String(), "externalURL", s.external.Redacted())
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.logger.Info("deploy server is stopping", "held", s.holding.count())
	s.holding.release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop serving: %w", errors.Join(err, server.Close()))
	}
	return nil
}
