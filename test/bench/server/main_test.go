// Package server measures W&B Server as the official client loads it: a real process with a real database, beside a null
// server of the same binary that only reads and answers.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// Kinds of servers.
const (
	realServer = ""
	nullServer = "null"
)

func TestMain(m *testing.M) {
	os.Exit(serverprocess.Main(m, serverprocess.Kinds{nullServer: serveNull}))
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
