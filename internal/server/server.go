package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/identity"
	"github.com/kubewandb/kubewandb/internal/server/ingest"
	"github.com/kubewandb/kubewandb/internal/server/limit"
	"github.com/kubewandb/kubewandb/internal/server/priority"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/version"
)

const (
	// shutdownTimeout is how long requests may take to end.
	shutdownTimeout = 5 * time.Second
	// requestTimeout bounds what a request may wait for; the client gives up after 20 s, or after 60 s for large ones.
	requestTimeout = 60 * time.Second
	// transferTimeout bounds reading a request and writing its answer: 16 MiB over a slow line.
	transferTimeout   = 2 * time.Minute
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than that of common proxies, so that they close a connection first and never send into one that
	// is being closed.
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10

	// prepareTimeout bounds one attempt to reach the database; migrations may take as long as they need.
	prepareTimeout  = 15 * time.Second
	minPreparePause = 250 * time.Millisecond
	maxPreparePause = 10 * time.Second
)

// Server is one running W&B Server.
type Server struct {
	cfg       Config
	host      *url.URL
	logger    *slog.Logger
	store     *store.Store
	accounts  *account.Service
	guard     *access.Guard
	history   *history.Service
	runs      *run.Service
	quotas    *quota.Service
	artifacts *artifact.Service
	identity  *identity.Provider // nil where nobody vouches for anybody
	graph     http.Handler
	ingest    *ingest.Service
	registry  *prometheus.Registry
	metrics   *metrics
	origins   *http.CrossOriginProtection
	bodies    *semaphore.Weighted
	readers   priority.Readers
	limits    *limit.Limiter
	health    *health
	storage   *storage
	pages     http.Handler // nil where there are none
	started   time.Time
	stopping  atomic.Bool

	listener, metricsListener net.Listener
}

// New prepares a server and takes its ports. Close frees what Serve did not use.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{
		cfg: cfg, logger: cfg.Logger, started: time.Now(),
		origins: http.NewCrossOriginProtection(), bodies: semaphore.NewWeighted(bodyBudget),
		limits: limit.New(cfg.RateLimit),
	}
	s.host, _ = parseHost(cfg.Host) // checked above
	if err := s.origins.AddTrustedOrigin(s.host.String()); err != nil {
		return nil, fmt.Errorf("read HOST: %w", err)
	}
	if err := s.openStore(); err != nil {
		return nil, err
	}
	s.registry = prometheus.NewRegistry()
	s.metrics = newMetrics(s.registry, s.store)
	if err := s.openBucket(ctx); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.licensed(ctx)
	s.health = &health{store: s.store}
	s.serve()
	s.showPages(ctx)
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// showPages lets pages show what the bucket holds. Where its address is not known they show everything else.
func (s *Server) showPages(ctx context.Context) {
	if s.cfg.Pages == nil {
		return
	}
	origin, err := s.storage.bucket.Origin(ctx)
	if err != nil {
		s.logger.WarnContext(ctx, "pages cannot show files of the bucket", "error", err)
	}
	if origin == "" {
		s.pages = s.cfg.Pages()
		return
	}
	s.pages = s.cfg.Pages(origin)
}

func (s *Server) openBucket(ctx context.Context) error {
	cfg := s.cfg.bucketConfig()
	cfg.Observe = s.metrics.bucketOperation
	bucket, err := blob.Open(ctx, cfg)
	s.storage = &storage{bucket: bucket}
	return err
}

func (s *Server) openStore() error {
	cfg := s.cfg.StoreConfig()
	if cfg.MySQL == nil {
		if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
			return &fault.Error{
				Reason: "DataDirUnusable", Op: "make the data folder", Err: err,
				Hint: "Set DATA_DIR to a folder that this program may write to.",
			}
		}
	}
	var err error
	s.store, err = store.Open(cfg)
	return err
}

func (s *Server) listen(ctx context.Context) (err error) {
	var config net.ListenConfig
	if s.listener, err = config.Listen(ctx, "tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", s.cfg.Listen, err)
	}
	if s.cfg.MetricsListen == "" {
		return nil
	}
	if s.metricsListener, err = config.Listen(ctx, "tcp", s.cfg.MetricsListen); err != nil {
		return fmt.Errorf("listen on %s for metrics: %w", s.cfg.MetricsListen, err)
	}
	return nil
}

// Close frees ports and database of a server that is not served.
func (s *Server) Close() error {
	var errs []error
	for _, l := range []net.Listener{s.listener, s.metricsListener} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(append(errs, s.storage.bucket.Close(), s.store.Close())...)
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// MetricsAddr is where metrics are served; nil for nowhere.
func (s *Server) MetricsAddr() net.Addr {
	if s.metricsListener == nil {
		return nil
	}
	return s.metricsListener.Addr()
}

// Accounts gives programs and tests that embed a server its accounts.
func (s *Server) Accounts() *account.Service { return s.accounts }

// Quotas gives programs and tests that embed a server what entities store and may store.
func (s *Server) Quotas() *quota.Service { return s.quotas }

// Bucket gives programs and tests that embed a server its objects.
func (s *Server) Bucket() *blob.Bucket { return s.storage.bucket }

// memoryGoal is where the collector begins to work harder, unless GOMEMLIMIT says otherwise: bodies of up to bodyBudget may be
// held, and the collector would let as much garbage stand beside them.
const memoryGoal = 128 << 20

// Run serves until ctx ends, and then until the requests under way have ended. It is the program: it sets the memory goal of
// the process.
func Run(ctx context.Context, cfg Config) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	s, err := New(ctx, cfg)
	if err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Serve answers requests until ctx ends, and then until the requests under way have ended. It frees what New took.
func (s *Server) Serve(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	// Background work outlives the last request.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()

	var work errgroup.Group
	work.Go(func() error { s.accounts.Run(background); return nil })
	work.Go(func() error { s.artifacts.Run(background); return nil })
	work.Go(func() error { s.ingest.Run(background); return nil })
	work.Go(func() error { s.history.Run(background); return nil })
	work.Go(func() error { s.runs.Run(background); return nil })
	work.Go(func() error { s.quotas.Run(background); return nil })
	work.Go(func() error { s.watchBucket(background); return nil })
	group.Go(func() error { return s.prepare(groupCtx) })
	group.Go(func() error { return s.serveHTTP(groupCtx, s.listener, s.Handler(), s.cfg.ShutdownDelay) })
	if s.metricsListener != nil {
		group.Go(func() error { return s.serveHTTP(groupCtx, s.metricsListener, metricsHandler(s.registry), 0) })
	}
	s.logger.InfoContext(ctx, "serving", "address", s.Addr().String(), "url", s.host.String(), "database", s.store.Engine(),
		"bucket", s.storage.bucket.String(), "version", version.Version)
	err := group.Wait()
	stopBackground()
	return errors.Join(err, work.Wait(), s.storage.bucket.Close(), s.store.Close())
}

func (s *Server) serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, delay time.Duration) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: transferTimeout,
		WriteTimeout: requestTimeout + transferTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ConnContext: withConnection,
		ErrorLog:    slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug), // what clients do wrong on a connection
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	ctx = context.WithoutCancel(ctx)
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		<-timer.C
	}
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.logger.WarnContext(ctx, "requests cut off at shutdown", "error", err)
		if err := server.Close(); err != nil {
			return fmt.Errorf("close %s: %w", listener.Addr(), err)
		}
	}
	return nil
}

// prepare reaches and migrates the database, however long it takes: a database that starts after the server is normal. One
// that a newer program has changed so that this one cannot work on it ends the server.
func (s *Server) prepare(ctx context.Context) error {
	pause := minPreparePause
	for {
		err := s.prepareOnce(ctx)
		s.health.prepared(err)
		if err == nil {
			s.logger.InfoContext(ctx, "database ready", "after", time.Since(s.started).Round(time.Millisecond).String())
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if fault.Reason(err, "") == store.ReasonSchemaTooNew {
			return err
		}
		s.logger.WarnContext(ctx, "database not ready", "error", err, "retry", pause.String())
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		pause = min(2*pause, maxPreparePause)
	}
}

func (s *Server) prepareOnce(ctx context.Context) error {
	reachCtx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := s.store.Prepare(reachCtx, false); err != nil {
		return err
	}
	if !s.cfg.SkipMigrations {
		if err := s.store.Prepare(ctx, true); err != nil {
			return err
		}
	}
	_, err := s.store.Health(ctx)
	return err
}
