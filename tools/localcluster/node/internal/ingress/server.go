package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
)

const (
	// headerTime bounds how long a client may take for its request's header.
	// Bodies and answers have no bound: uploads and event streams take hours.
	headerTime = 30 * time.Second
	clientIdle = 5 * time.Minute
	// stopTime is what requests in flight get when the process is asked to end.
	stopTime = 3 * time.Second
	// uploadWindow lets one HTTP/2 upload use a fast local line; the default of
	// 64 KiB a stream would make it wait for acknowledgements.
	uploadWindow = 4 << 20
)

// Options say where the controller listens.
type Options struct {
	HTTPAddress, HTTPSAddress, HealthAddress string
	// CertificateFile and KeyFile hold the certificate for names that no
	// Ingress brings one for.
	CertificateFile, KeyFile string
	// PublishedAddress is written to the status of each served Ingress.
	PublishedAddress string
}

// Run serves until ctx ends.
func Run(ctx context.Context, client kubernetes.Interface, o Options, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fallback, err := tls.LoadX509KeyPair(o.CertificateFile, o.KeyFile)
	if err != nil {
		return fmt.Errorf("read default certificate: %w", err)
	}
	proxy := NewProxy(log)
	control := &controller{client: client, proxy: proxy, published: o.PublishedAddress, log: log}
	if err := control.start(ctx); err != nil {
		return err
	}
	ended := make(chan error, 4)
	go func() { ended <- control.follow(ctx) }()

	secure := newServer(o.HTTPSAddress, proxy, log)
	secure.TLSConfig = tlsConfig(proxy, &fallback)
	secure.HTTP2 = &http.HTTP2Config{
		MaxReceiveBufferPerConnection: 2 * uploadWindow,
		MaxReceiveBufferPerStream:     uploadWindow,
	}
	plain := newServer(o.HTTPAddress, http.HandlerFunc(redirect), log)
	health := newServer(o.HealthAddress, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page(w, http.StatusOK, "The controller follows the cluster.")
	}), log)
	go func() { ended <- secure.ListenAndServeTLS("", "") }()
	go func() { ended <- plain.ListenAndServe() }()
	go func() { ended <- health.ListenAndServe() }()
	log.Info("ingress serves", "https", o.HTTPSAddress, "http", o.HTTPAddress)

	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	limit, stop := context.WithTimeout(context.Background(), stopTime)
	defer stop()
	for _, server := range []*http.Server{secure, plain, health} {
		if stopErr := server.Shutdown(limit); stopErr != nil && !errors.Is(stopErr, context.DeadlineExceeded) {
			err = errors.Join(err, fmt.Errorf("stop server: %w", stopErr))
		}
	}
	return err
}

func newServer(address string, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Addr:              address,
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       clientIdle,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// tlsConfig picks the certificate by the name that the client asks for.
func tlsConfig(proxy *Proxy, fallback *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if found := proxy.Table().Certificate(hello.ServerName); found != nil {
				return found, nil
			}
			return fallback, nil
		},
	}
}

// redirect sends plain HTTP to the same place over HTTPS. The status keeps the
// method and the body.
func redirect(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(r.Host); err == nil {
		host = name
	}
	target := *r.URL
	target.Scheme, target.Host = "https", host
	http.Redirect(w, r, target.String(), http.StatusPermanentRedirect)
}
