package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/priority"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Guard says whether the user of a context may write into a project.
type Guard interface {
	Project(ctx context.Context, entity, project string, action access.Action) (access.Place, error)
}

// FileRegistry hears of the files of a run whose upload is finished. When it returns nil they are visible to readers.
type FileRegistry interface {
	Uploaded(ctx context.Context, run store.ID, names []string) error
}

// Config sets up a Service. Everything but Limit, Readers, Files, Logger and the seams is required.
type Config struct {
	Guard Guard
	// Authenticate returns the user of a request and the id of its API key, 0 where it came with another proof. Its answer
	// is remembered for a minute; the commit checks again.
	Authenticate func(w http.ResponseWriter, r *http.Request) (account.User, store.ID, error)
	// Refuse answers a request that Authenticate has refused.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
	// Memory bounds the bytes of bodies that are in memory at once. It may be shared.
	Memory *semaphore.Weighted
	// Limit returns how long a user has to wait before the next request, 0 for not at all; nil for no limit.
	Limit func(user store.ID) time.Duration
	// Readers are those to whom long bodies give way; nil for nobody.
	Readers *priority.Readers
	// Files hears of uploads; nil for nobody.
	Files FileRegistry
	// Written hears how many chunks of how many bytes were added to a run, so that they are compacted in time; nil for nobody.
	Written func(run store.ID, chunks, bytes int)
	// Stored returns the lines of a run's history with minStep ≤ step < maxStep, so that lines which come a second time under
	// other numbers are known; nil for no such look.
	Stored func(ctx context.Context, run store.ID, minStep, maxStep int64) ([]string, error)
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// Logger hears of failures; nil means slog.Default().
	Logger *slog.Logger

	// seams for tests
	Now func() time.Time
}

// Service takes metrics. Its methods may be called from any goroutine.
type Service struct {
	cfg       Config
	store     *store.Store
	metrics   *metrics
	committer *committer
	budget    *budget
	buffers   buffers
	callers   *remembered[credential, caller]
	permits   *remembered[place, store.Permit]
	// compared is the line with which a history goes on that was found to repeat nothing.
	compared *remembered[history, int64]
	// working bounds how many long bodies are taken apart at once: one processor is left to those who read, to compaction
	// and to the database. Without a bound each of them waits for a turn behind every body that has come.
	working *semaphore.Weighted
}

// New returns a service on a store. Requests are answered while Run runs.
func New(s *store.Store, cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Readers == nil {
		cfg.Readers = new(priority.Readers)
	}
	m := newMetrics(cfg.Registry)
	return &Service{
		cfg: cfg, store: s, metrics: m, committer: newCommitter(s, cfg.Logger, m.committed),
		budget:  &budget{memory: cfg.Memory, observe: func(n int64) { m.waiting.Set(float64(n)) }},
		callers: &remembered[credential, caller]{now: cfg.Now},
		permits: &remembered[place, store.Permit]{now: cfg.Now}, compared: &remembered[history, int64]{now: cfg.Now},
		working: semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)-1))),
	}
}

// Run writes what requests bring until ctx ends, and then what still waits. Requests after that are asked to come later.
func (s *Service) Run(ctx context.Context) { s.committer.run(ctx) }

// Pattern is the address of ServeHTTP.
const Pattern = "POST /files/{entity}/{project}/{run}/file_stream"

// ServeHTTP takes one file_stream request. It authenticates before it takes memory, takes memory before it reads, and
// answers when everything is on stable storage.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, err := s.authenticate(w, r)
	if err != nil {
		s.metrics.requests.WithLabelValues("refused").Inc()
		s.cfg.Refuse(w, r, err)
		return
	}
	if wait := s.limit(from.user.ID); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		s.fail(w, r, errLimited)
		return
	}
	stopping, err := s.take(w, r, from)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.metrics.requests.WithLabelValues("acknowledged").Inc()
	w.Header().Set("Content-Type", "application/json")
	text := answerGo
	if stopping {
		text = answerStop
	}
	_, _ = w.Write(text) // nobody is left to tell
}

func (s *Service) limit(user store.ID) time.Duration {
	if s.cfg.Limit == nil {
		return 0
	}
	return s.cfg.Limit(user)
}

var (
	answerGo   = []byte(`{"stopped":false}` + "\n")
	answerStop = []byte(`{"stopped":true}` + "\n")
)

// take reads and writes a request.
func (s *Service) take(w http.ResponseWriter, r *http.Request, from caller) (stopping bool, err error) {
	ctx := r.Context()
	permit, err := s.permit(ctx, from, placeOf(r, from))
	if err != nil {
		return false, err
	}
	size := sizeToTake(r)
	if size > maxBody {
		return false, errTooLarge
	}
	if err := s.budget.take(ctx, size); err != nil {
		return false, err
	}
	held := &allowance{s.budget, size}
	defer held.shrink(0)
	a, uploaded, err := s.read(w, r)
	if err != nil {
		return false, err
	}
	held.shrink(int64(sizeOf(a)))
	a.Permit, a.At, a.Arrival = permit, store.At(s.cfg.Now()), store.ArrivalOf(ctx)
	if a.Writer, err = writerOf(r); err != nil {
		return false, err
	}
	if err := s.write(w, r, a, from); err != nil {
		return false, err
	}
	if len(uploaded) > 0 && s.cfg.Files != nil {
		if err := s.cfg.Files.Uploaded(ctx, a.Permit.RunID, uploaded); err != nil {
			return false, err
		}
	}
	s.metrics.acknowledged(a)
	if s.cfg.Written != nil && len(a.Parts) > 0 {
		s.cfg.Written(a.Permit.RunID, len(a.Parts), sizeOf(a))
	}
	return a.Stopping, nil
}

// write commits a request. Where it was let in for what has changed since, that is looked up again, once.
func (s *Service) write(w http.ResponseWriter, r *http.Request, a *store.Append, from caller) error {
	if err := s.commit(r.Context(), a); err != nil || a.Err == nil {
		return err
	}
	if !errors.Is(a.Err, store.ErrStale) {
		return a.Err
	}
	s.callers.drop(credentialOf(r))
	s.permits.drop(placeOf(r, from))
	from, err := s.authenticate(w, r)
	if err != nil {
		return err
	}
	if a.Permit, err = s.permit(r.Context(), from, placeOf(r, from)); err != nil {
		return err
	}
	if err := s.commit(r.Context(), a); err != nil {
		return err
	}
	return a.Err
}

// longBody is from where on a body takes longer than a moment: at 256 KiB some 5 ms.
const longBody = 256 << 10

// statistics are used again from request to request.
var statistics = sync.Pool{New: func() any { return new(chunk.Stats) }}

// read reads a body and makes of it what is to be written. Its memory is free when read returns.
func (s *Service) read(w http.ResponseWriter, r *http.Request) (*store.Append, []string, error) {
	holder := s.buffers.get(bufferSize(r))
	body, err := readBody(w, r, *holder)
	defer s.buffers.put(holder, body)
	if err != nil {
		return nil, nil, err
	}
	s.metrics.bytes.Add(float64(len(body)))
	p := packer{stats: statistics.Get().(*chunk.Stats)}
	defer statistics.Put(p.stats)
	if len(body) > longBody {
		if err := s.working.Acquire(r.Context(), 1); err != nil {
			return nil, nil, err
		}
		defer s.working.Release(1)
		work := s.cfg.Readers.Work()
		p.pause = func() { work.GiveWay(r.Context()) }
	}
	m := messages.Get().(*message)
	defer messages.Put(m)
	defer m.reset()
	if err := m.decode(body); err != nil {
		return nil, nil, err
	}
	a, err := m.prepare(p)
	return a, m.uploaded, err
}

// maxWriter is how long the name of a writer may be, by its column.
const maxWriter = 128

var errWriter = errors.New("the client id is longer than 128 bytes")

// writerOf is the id of a process that shares its run with others, each with line numbers of its own; "" for all others.
func writerOf(r *http.Request) (store.Text, error) {
	if r.Header.Get("X-Wandb-Use-Async-Filestream") != "true" {
		return "", nil
	}
	id := r.Header.Get("X-Wandb-Async-Client-Id")
	if len(id) > maxWriter {
		return "", errWriter
	}
	return store.Text(id), nil
}

// fail answers with an error. The official client ends a stream at once at 400, 401, 403, 404 and 413, and comes back after
// everything else.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	drain(r)
	status, outcome, text := http.StatusServiceUnavailable, "failed", "the server cannot write at the moment"
	switch reason := fault.Reason(err, ""); {
	case reason == account.ReasonRefused:
		s.metrics.requests.WithLabelValues("refused").Inc()
		s.cfg.Refuse(w, r, err)
		return
	case reason == access.ReasonNotFound:
		status, outcome, text = http.StatusNotFound, "not found", err.Error()
	case reason == access.ReasonForbidden:
		status, outcome, text = http.StatusForbidden, "refused", err.Error()
	case errors.Is(err, errTooLarge), errors.Is(err, errLine):
		status, outcome, text = http.StatusRequestEntityTooLarge, "invalid", err.Error()
	case errors.Is(err, errNotJSON), errors.Is(err, errOffset), errors.Is(err, errEncoding), errors.Is(err, errWriter):
		status, outcome, text = http.StatusBadRequest, "invalid", err.Error()
	case errors.Is(err, errBroken):
		status, outcome, text = http.StatusRequestTimeout, "broken", errBroken.Error()
	case errors.Is(err, errBusy), errors.Is(err, errLimited), errors.Is(err, store.ErrBusy):
		status, outcome, text = http.StatusTooManyRequests, "busy", err.Error()
	case errors.Is(err, errStopped), errors.Is(err, store.ErrStale), errors.Is(err, store.ErrLate), r.Context().Err() != nil:
	default:
		s.cfg.Logger.WarnContext(r.Context(), "metrics not written", "path", r.URL.Path, "error", err)
	}
	s.metrics.requests.WithLabelValues(outcome).Inc()
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && w.Header().Get("Retry-After") == "" {
		const least, spread = 5, 26
		w.Header().Set("Retry-After", strconv.Itoa(least+rand.IntN(spread)))
	}
	writeError(w, status, text)
}

// drain takes what is left of a body, or the client would see a broken connection in place of the answer.
func drain(r *http.Request) {
	var skipped [4 << 10]byte
	for left := maxBody; left > 0; {
		n, err := r.Body.Read(skipped[:])
		if err != nil {
			return
		}
		left -= n
	}
}

// writeError answers in the form that the client prints.
func writeError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	quoted, err := json.Marshal(text)
	if err != nil { // a string always encodes
		quoted = []byte(`""`)
	}
	_, _ = w.Write(slices.Concat([]byte(`{"errors":[{"message":`), quoted, []byte("}]}\n"))) // nobody is left to tell
}
