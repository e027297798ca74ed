package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

type connectionKey struct{}

// withConnection lets handlers ask the system about the connection of a request.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// punctual refuses what requests write when they are late: a program that was stopped, or a machine that was suspended, must
// not go on with requests whose senders have turned to another replica.
func (s *Server) punctual(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			next.ServeHTTP(w, r)
			return
		}
		connection, _ := r.Context().Value(connectionKey{}).(net.Conn)
		arrival := store.NewArrival(s.cfg.LateAfter)
		if r.Body == nil || r.Body == http.NoBody {
			arrival.Note(lastByte(connection))
		}
		timed := r.WithContext(store.WithArrival(r.Context(), arrival))
		timed.Body = &arrivingBody{ReadCloser: r.Body, connection: connection, arrival: arrival}
		next.ServeHTTP(w, timed)
		r.Pattern = timed.Pattern // for the metrics
	})
}

// arrivingBody notes when the last byte of a body came.
type arrivingBody struct {
	io.ReadCloser
	connection net.Conn
	arrival    *store.Arrival
}

func (b *arrivingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.arrival.Note(lastByte(b.connection))
	}
	return n, err
}
