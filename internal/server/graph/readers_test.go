package graph_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/priority"
)

// TestOnlyWhatIsAnsweredHoldsUpOtherWork looks who counts as a reader while a body comes, while its operation is answered,
// and while the answer goes.
func TestOnlyWhatIsAnsweredHoldsUpOtherWork(t *testing.T) {
	w := witness{readers: new(priority.Readers), seen: map[string]bool{}}
	handler := graph.NewHandler(graph.Options{
		Services: graph.Services{}, Readers: w.readers, Logger: slog.New(witnessLog{w, slog.DiscardHandler}),
	})
	body := witnessBody{w, strings.NewReader(request(t, `query Unknown { nothingOfThatName }`))}
	handler.ServeHTTP(witnessWriter{w, httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", body))
	for moment, want := range map[string]bool{"the body comes": false, "it is answered": true, "the answer goes": false} {
		if got, asked := w.seen[moment]; got != want || !asked {
			t.Errorf("while %s: counted is %t, want %t (looked: %t)", moment, got, want, asked)
		}
	}
}

// witness notes who reads at a moment.
type witness struct {
	readers *priority.Readers
	seen    map[string]bool
}

func (w witness) look(moment string) { w.seen[moment] = w.seen[moment] || w.readers.Any() }

type witnessBody struct {
	witness
	io.Reader
}

func (b witnessBody) Read(p []byte) (int, error) {
	b.look("the body comes")
	return b.Reader.Read(p)
}

type witnessWriter struct {
	witness
	http.ResponseWriter
}

func (w witnessWriter) Write(p []byte) (int, error) {
	w.look("the answer goes")
	return w.ResponseWriter.Write(p)
}

// witnessLog looks when the handler logs, which it does of an operation that it does not have while it answers.
type witnessLog struct {
	witness
	slog.Handler
}

func (witnessLog) Enabled(context.Context, slog.Level) bool { return true }

func (l witnessLog) Handle(context.Context, slog.Record) error {
	l.look("it is answered")
	return nil
}
