// Command probe is what the end-to-end test runs in pods and on the machine: a
// small HTTP server, and a few questions about the surroundings.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// callTime bounds each question.
const callTime = 10 * time.Second

// dataFile is written at the start, to show that the volume can be.
const dataFile = "/data/hello"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	const pair = 2
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve(ctx, out)
	case len(args) == pair && args[0] == "fetch":
		return fetch(ctx, args[1], out)
	case len(args) == pair && args[0] == "dial":
		return dial(ctx, args[1], out)
	case len(args) == pair && args[0] == "stat":
		return stat(args[1], out)
	}
	return errors.New("usage: probe serve | fetch <url> | dial <address> | stat <file>")
}

func serve(ctx context.Context, out io.Writer) error {
	if err := os.WriteFile(dataFile, []byte("hello"), 0o640); err != nil {
		return fmt.Errorf("write to the volume: %w", err)
	}
	server := &http.Server{Addr: ":8080", ReadHeaderTimeout: callTime, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, "hello, %d bytes over %s\n", n, r.Header.Get("X-Forwarded-Proto"))
	})}
	_, _ = fmt.Fprintln(out, "probe serves")
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// fetch prints the answer of a URL; CA_PEM is the authority to trust.
func fetch(ctx context.Context, url string, out io.Writer) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(os.Getenv("CA_PEM")))
	client := http.Client{Timeout: callTime, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(out, response.Body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

func dial(ctx context.Context, address string, out io.Writer) error {
	conn, err := (&net.Dialer{Timeout: callTime}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	_, _ = fmt.Fprintln(out, "connected")
	return conn.Close()
}

func stat(file string, out io.Writer) error {
	var s syscall.Stat_t
	if err := syscall.Stat(file, &s); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	_, _ = fmt.Fprintf(out, "uid=%d gid=%d\n", s.Uid, s.Gid)
	return nil
}
