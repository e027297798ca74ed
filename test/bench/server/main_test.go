// Package server measures W&B Server as the official client loads it: a real process with a real database, beside a null
// server of the same binary that only reads and answers.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // served only where PROFILE_BIND_ADDRESS is set
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// roleVariable makes this binary a server in place of a test.
const roleVariable = "BENCH_SERVER_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if address := os.Getenv("PROFILE_BIND_ADDRESS"); address != "" {
		go func() { _ = http.ListenAndServe(address, nil) }() // for the developer who measures
	}
	serve := serveReal
	if role == "null" {
		serve = serveNull
	}
	if err := serve(ctx, os.Getenv("BENCH_LISTEN")); err != nil {
		slog.Error("server ended", "error", err)
		os.Exit(1)
	}
}

func serveReal(ctx context.Context, address string) error {
	port, _ := strconv.Atoi(os.Getenv("BENCH_MYSQL_PORT"))
	cfg := server.Config{
		Host: "http://" + address, Listen: address, DataDir: os.Getenv("BENCH_DATA_DIR"),
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	}
	if port != 0 {
		cfg.MySQL = store.MySQL{
			Host: os.Getenv("BENCH_MYSQL_HOST"), Port: port, Database: os.Getenv("BENCH_MYSQL_DATABASE"),
			User: os.Getenv("BENCH_MYSQL_USER"), Password: redact.Secret(os.Getenv("BENCH_MYSQL_PASSWORD")),
		}
	}
	return server.Run(ctx, cfg)
}

// serveNull is the most that any server of this kind could do here.
func serveNull(ctx context.Context, address string) error {
	answer := []byte(`{"stopped":false}` + "\n")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /files/{entity}/{project}/{run}/file_stream", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }, Addr: address}
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
