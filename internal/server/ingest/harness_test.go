package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/chunk"
	histories "github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/ingest"
	"github.com/kubewandb/kubewandb/internal/server/priority"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const memory = 64 << 20

// scene is a store with one user, one key and one project, and a replica that takes metrics.
type scene struct {
	store    *store.Store
	accounts *account.Service
	user     account.User
	keyID    store.ID
	key      redact.Secret
	project  store.Project
	replica
}

type replica struct {
	url      string
	registry *prometheus.Registry
	files    *uploads
	readers  *priority.Readers
}

// uploads remembers what a FileRegistry was told.
type uploads struct {
	names []string
	err   error
}

func (u *uploads) Uploaded(_ context.Context, _ store.ID, names []string) error {
	u.names = append(u.names, names...)
	return u.err
}

func newScene(t testing.TB, s *store.Store) *scene {
	t.Helper()
	sc := &scene{store: s, accounts: account.New(s, account.Config{Logger: slog.New(slog.DiscardHandler)})}
	var err error
	if sc.user, err = sc.accounts.CreateUser(t.Context(), account.NewUser{Username: "ada", Email: "ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	var key account.Key
	if key, sc.key, err = sc.accounts.CreateKey(t.Context(), sc.user, ""); err != nil {
		t.Fatal(err)
	}
	sc.keyID = key.ID
	entity, err := s.EntityByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	sc.project, _, err = s.EnsureProject(t.Context(), store.Project{EntityID: entity.ID, Name: "my project", UserID: sc.user.ID, Access: store.AccessPrivate})
	if err != nil {
		t.Fatal(err)
	}
	sc.replica = newReplica(t, s)
	return sc
}

// newReplica starts a service on a store.
func newReplica(t testing.TB, s *store.Store) replica {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	accounts := account.New(s, account.Config{Logger: logger})
	r := replica{registry: prometheus.NewRegistry(), files: &uploads{}, readers: new(priority.Readers)}
	service := ingest.New(s, ingest.Config{
		Guard: access.NewGuard(s), Memory: semaphore.NewWeighted(memory), Files: r.files, Readers: r.readers, Registry: r.registry, Logger: logger,
		Stored: histories.New(s, histories.Config{Logger: logger}).Page,
		Authenticate: func(_ http.ResponseWriter, r *http.Request) (account.User, store.ID, error) {
			_, key, _ := r.BasicAuth()
			return accounts.Owner(r.Context(), redact.Secret(key))
		},
		Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
			if fault.Reason(err, "") == account.ReasonRefused {
				http.Error(w, "refused", http.StatusUnauthorized)
				return
			}
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { service.Run(ctx); close(ended) }()
	mux := http.NewServeMux()
	mux.Handle(ingest.Pattern, service)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		cancel()
		<-ended
	})
	r.url = server.URL
	return r
}

// run makes a run.
func (sc *scene) run(t testing.TB, name string) store.ID {
	t.Helper()
	changed, err := sc.store.ChangeRun(t.Context(), store.RunKey{ProjectID: sc.project.ID, Name: store.Text(name)}, "",
		func(before store.RunBefore) (store.RunAfter, error) {
			after := store.RunAfter{Run: before.Run, State: store.RunRunning}
			after.UserID = sc.user.ID
			return after, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return changed.ID
}

// setState changes the state of a run as an UpsertBucket would.
func (sc *scene) setState(t testing.TB, run store.ID, state store.RunState, stopping bool) {
	t.Helper()
	_, err := sc.store.ChangeRun(t.Context(), store.RunKey{ID: run}, "", func(before store.RunBefore) (store.RunAfter, error) {
		return store.RunAfter{Run: before.Run, State: state, Stopping: stopping}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// post sends a body to a run's stream.
func (sc *scene) post(t testing.TB, base, run, body string, header ...string) (status int, answer string) {
	t.Helper()
	address := base + "/files/ada/" + url.PathEscape("my project") + "/" + url.PathEscape(run) + "/file_stream"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("api", sc.key.Reveal())
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// send posts a body that must be acknowledged.
func (sc *scene) send(t testing.TB, run, body string, header ...string) {
	t.Helper()
	if status, answer := sc.post(t, sc.url, run, body, header...); status != http.StatusOK {
		t.Fatalf("%s: got %d %s", body, status, answer)
	}
}

// file is the body that writes lines to one file.
func file(name string, offset int, lines ...string) string {
	content, err := json.Marshal(lines)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf(`{"files":{%q:{"offset":%d,"content":%s}}}`, name, offset, content)
}

// lines reads a stream back: the newest text of each line number.
func (sc *scene) lines(t testing.TB, run store.ID, stream store.Stream, writer string) map[int64]string {
	t.Helper()
	pool, _ := sc.store.Pools()
	rows, err := pool.QueryContext(t.Context(), "SELECT first_line, n, body FROM chunks WHERE run_id = ? AND stream = ? AND writer = ? ORDER BY seq",
		int64(run), int64(stream), []byte(writer))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	lines := map[int64]string{}
	for rows.Next() {
		var first, n int64
		var body []byte
		if err := rows.Scan(&first, &n, &body); err != nil {
			t.Fatal(err)
		}
		decoded, err := chunk.Decode(body)
		if err != nil || int64(len(decoded)) != n {
			t.Fatalf("chunk at line %d holds %d lines, want %d; %v", first, len(decoded), n, err)
		}
		for i, line := range decoded {
			lines[first+int64(i)] = string(line)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// text writes lines in the order of their numbers.
func text(lines map[int64]string) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "%d:%s ", n, lines[n])
	}
	return strings.TrimSpace(b.String())
}

// live reads the live row of a run.
func (sc *scene) live(t testing.TB, run store.ID) store.RunLive {
	t.Helper()
	record, err := sc.store.RunRecordByID(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return record.Live
}

// summary reads the summary of a writer; "" for none.
func (sc *scene) summary(t testing.TB, run store.ID, writer string) string {
	t.Helper()
	rows, err := sc.store.RunSummaries(t.Context(), []store.ID{run})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if string(row.Writer) == writer {
			return string(row.Body)
		}
	}
	return ""
}

// head reads where a writer stands in a stream.
func (sc *scene) head(t testing.TB, run store.ID, stream store.Stream, writer string) (next, maxStep, generation int64) {
	t.Helper()
	pool, _ := sc.store.Pools()
	err := pool.QueryRowContext(t.Context(), "SELECT next_line, max_step, generation FROM stream_heads WHERE run_id = ? AND stream = ? AND writer = ?",
		int64(run), int64(stream), []byte(writer)).Scan(&next, &maxStep, &generation)
	if err != nil {
		t.Fatal(err)
	}
	return next, maxStep, generation
}
