// Package console is the backend of the System Console: the state of one installation, and edits of its user layer.
//
// It is what an administrator turns to when everything else is down, so it needs the Kubernetes API and nothing more: not
// the application, not its database, not Prometheus. Pods, events and the custom resource are watched in one namespace;
// Secrets are read by name at the moment they are needed, and never listed or cached.
package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// BasePath is where the console lives on the host that it shares with the application.
const BasePath = "/console"

const (
	apiPath = BasePath + "/api"

	// shutdownGrace is how long requests under way may take after the program was told to stop. Event streams end at once,
	// and nothing else takes longer than one call of the Kubernetes API.
	shutdownGrace = 2 * time.Second
	// kubeDeadline bounds each call of the Kubernetes API: a person waits for the answer.
	kubeDeadline = 5 * time.Second
)

// Config is what a console needs to know. Every field without "optional" must be set.
type Config struct {
	// Host is the external URL of the installation with its scheme, "https://wandb.example.com". Optional: without it the
	// session cookie is not marked Secure and the pages have no link to the application.
	Host string
	// Listen is the address of pages and API, ":8082".
	Listen string
	// MetricsListen is the address of Prometheus metrics; optional, empty means none.
	MetricsListen string
	// ReleaseName is the name of the custom resource, and ReleaseNamespace its namespace.
	ReleaseName      string
	ReleaseNamespace string
	// OperatorNamespace is where the operator runs; hints name it. Optional.
	OperatorNamespace string
	// AuthService is host:port of the application inside the cluster, "wandb-app:8080". Optional: without it nobody signs in
	// through the application.
	AuthService string
	// Banners is JSON that the pages show above everything; optional.
	Banners json.RawMessage
	// ProxyHops is the number of proxies in front of the console that append to X-Forwarded-For; 0 means that the header is
	// not trusted.
	ProxyHops int
	// Pages serves the built pages below BasePath.
	Pages http.Handler
	// Kube and Dynamic reach the Kubernetes API with the rights of docs/reference/console-rbac.md.
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	// Log takes the console's own records.
	Log *slog.Logger

	// seams for tests

	now func() time.Time
	// heartbeat is the constant of that name.
	heartbeat time.Duration
}

// Server is one console.
type Server struct {
	cfg     Config
	secrets *credentials
	tokens  tokens
	limits  *limiter
	sso     *application
	state   *watcher
	hub     *hub
	ready   *probe
	origins *http.CrossOriginProtection
	metrics *metrics
}

// New checks the configuration and assembles a console; nothing is contacted before Run.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configure console: %w", err)
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	cfg.heartbeat = cmp.Or(cfg.heartbeat, heartbeat)
	s := &Server{cfg: cfg, origins: http.NewCrossOriginProtection(), metrics: newMetrics()}
	s.secrets = newCredentials(cfg)
	s.tokens = tokens{audience: cfg.ReleaseNamespace + "/" + cfg.ReleaseName, now: cfg.now}
	s.limits = newLimiter(cfg.now)
	s.sso = newApplication(cfg.AuthService, cfg.now)
	s.state = newWatcher(cfg)
	s.hub = newHub(s.state.overview)
	s.state.changed = s.hub.wake
	s.ready = &probe{ask: s.state.reachable, now: cfg.now}
	s.metrics.observeStreams(s.hub.count)
	return s, nil
}

func (c Config) check() error {
	var errs []error
	required := []struct {
		name    string
		present bool
	}{
		{"RELEASE_NAME", c.ReleaseName != ""},
		{"RELEASE_NAMESPACE", c.ReleaseNamespace != ""},
		{"pages", c.Pages != nil},
		{"Kubernetes client", c.Kube != nil && c.Dynamic != nil},
		{"log", c.Log != nil},
	}
	for _, r := range required {
		if !r.present {
			errs = append(errs, fmt.Errorf("%s is not set", r.name))
		}
	}
	if len(c.Banners) > 0 && !json.Valid(c.Banners) {
		errs = append(errs, errors.New("BANNERS is not JSON"))
	}
	if c.Host != "" {
		if _, err := parseHost(c.Host); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, then finishes what is under way within shutdownGrace. It returns nil after an orderly end.
func (s *Server) Run(ctx context.Context) error {
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	return s.serve(ctx, listeners)
}

// listeners holds the open sockets; metrics is nil where no metrics are served.
type listeners struct{ pages, metrics net.Listener }

func (s *Server) listen(ctx context.Context) (listeners, error) {
	var config net.ListenConfig
	pages, err := config.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return listeners{}, fmt.Errorf("listen for pages: %w", err)
	}
	if s.cfg.MetricsListen == "" {
		return listeners{pages: pages}, nil
	}
	metrics, err := config.Listen(ctx, "tcp", s.cfg.MetricsListen)
	if err != nil {
		return listeners{}, errors.Join(fmt.Errorf("listen for metrics: %w", err), pages.Close())
	}
	return listeners{pages: pages, metrics: metrics}, nil
}

func (s *Server) serve(ctx context.Context, l listeners) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.state.run(ctx) })
	group.Go(func() error { return s.hub.run(ctx) })
	s.serveHTTP(ctx, group, l.pages, s.Handler())
	if l.metrics != nil {
		s.serveHTTP(ctx, group, l.metrics, s.metrics.handler())
	}
	s.cfg.Log.Info("console started", "address", l.pages.Addr().String(), "resource", s.cfg.ReleaseNamespace+"/"+s.cfg.ReleaseName)
	err := group.Wait()
	s.cfg.Log.Info("console stopped")
	return err
}

// serveHTTP runs one HTTP server in group until ctx ends. Requests outlive ctx by shutdownGrace, so that an edit under way
// is answered; event streams end with the hub.
func (s *Server) serveHTTP(ctx context.Context, group *errgroup.Group, l net.Listener, handler http.Handler) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second, // event streams set their own, one write at a time
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve http: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			return server.Close() // whoever is left after the grace is cut off
		}
		return nil
	})
}

// Registry returns the metrics of this console.
func (s *Server) Registry() *prometheus.Registry { return s.metrics.registry }
