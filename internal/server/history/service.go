package history

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/priority"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Reasons of errors.
const (
	// ReasonTooLarge: the answer would not fit into memory.
	ReasonTooLarge = "HistoryTooLarge"
	// ReasonSpecInvalid: a request for samples cannot be understood.
	ReasonSpecInvalid = "HistorySpecInvalid"
	// ReasonCorrupt: what is stored is not what was written.
	ReasonCorrupt = "HistoryCorrupt"
)

const (
	// linesCache holds lines and what they are made of, columnsCache the columns that charts are made of and statistics of
	// chunks, footersCache what every reader of a segment needs, tracesCache charts that are carried on, answersCache what was
	// computed. Apart, since a walk through all lines would drive out all columns, and those all footers.
	linesCache   = 12 << 20
	columnsCache = 6 << 20
	footersCache = 6 << 20
	tracesCache  = 12 << 20
	answersCache = 4 << 20
	// readers is how many requests work on lines at once; more only compete for memory and the two processors of a small pod.
	readers = 4
)

// Config sets up a Service.
type Config struct {
	// Bucket is where segments go; without one nothing is compacted.
	Bucket Bucket
	// Readers counts those who work on lines or wait for their turn, beside others who read: compaction gives way to them. nil means
	// that nobody else reads.
	Readers *priority.Readers
	// Logger hears of compaction; nil means slog.Default().
	Logger *slog.Logger

	// seams for tests
	Now func() time.Time
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	store  *store.Store
	bucket Bucket
	logger *slog.Logger
	now    func() time.Time

	lines, columns, footers, traces, answers *cache
	readers                                  *semaphore.Weighted
	reading                                  *priority.Readers
	// holder names this service in leases, touched are runs that may have lines to compact.
	holder  store.ID
	touched chan store.ID

	pendingMu *sync.Mutex
	pending   map[store.ID]pending
}

// New returns a service on a store.
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
	return &Service{
		store: s, bucket: cfg.Bucket, logger: cfg.Logger, now: cfg.Now,
		lines: newCache(linesCache), columns: newCache(columnsCache), footers: newCache(footersCache),
		traces: newCache(tracesCache), answers: newCache(answersCache),
		readers: semaphore.NewWeighted(readers), reading: cfg.Readers,
		holder: s.NewID(), touched: make(chan store.ID, maxTouched),
		pendingMu: &sync.Mutex{}, pending: map[store.ID]pending{},
	}
}

// errGone tells that a part of a snapshot no longer exists: compaction or a rewind has replaced it.
var errGone = errors.New("a part of the history was replaced while it was read")

// snapshotTries is how often a read starts again after errGone. Compaction replaces parts every few seconds at most.
const snapshotTries = 8

// read runs fn on a snapshot of a stream, and again on a newer one where its parts vanished.
func (s *Service) read(ctx context.Context, run store.ID, stream store.Stream, fn func(v *view) error) error {
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	for try := 1; ; try++ {
		snapshot, err := s.store.RunSnapshot(ctx, run, stream)
		if err != nil {
			return err
		}
		v, err := s.view(ctx, snapshot, stream)
		if err == nil {
			err = fn(v)
		}
		if !errors.Is(err, errGone) {
			return err
		}
		if try == snapshotTries {
			return &fault.Error{Reason: store.ReasonUnavailable, Op: "read the history", Retry: true, Err: err}
		}
	}
}

// turn waits until few enough others read.
func (s *Service) turn(ctx context.Context) (done func(), err error) {
	leave := s.reading.Enter()
	if err := s.readers.Acquire(ctx, 1); err != nil {
		leave()
		return nil, err
	}
	return func() {
		s.readers.Release(1)
		leave()
	}, nil
}

// answerKey names a question about a run.
type answerKey struct {
	run      store.ID
	question string
}

// answered is the answer to a question at a revision of the run. moving: an earlier answer was another one's.
type answered struct {
	rev    int64
	value  any
	size   int
	moving bool
}

// answer returns what compute makes of a stream, computed once per revision of the run. size is that of the result. Whether the
// run still has the revision is asked first, but not where that was in vain the last time: the snapshot tells it, too.
func answer[T any](ctx context.Context, s *Service, run store.ID, stream store.Stream, question string,
	compute func(v *view) (result T, size int, err error),
) (T, error) {
	var result T
	key := answerKey{run, question}
	entry, isKnown := s.answers.get(key)
	known, _ := entry.(*answered)
	if isKnown && !known.moving {
		rev, err := s.store.RunRev(ctx, run)
		if err != nil {
			return result, err
		}
		if rev == known.rev {
			return known.value.(T), nil
		}
	}
	err := s.read(ctx, run, stream, func(v *view) error {
		if isKnown && v.snapshot.Rev == known.rev {
			result = known.value.(T)
			s.answers.put(key, &answered{rev: known.rev, value: result, size: known.size}, known.size)
			return nil
		}
		var size int
		var err error
		if result, size, err = compute(v); err == nil && v.snapshot.Rev != 0 {
			size += len(question)
			s.answers.put(key, &answered{rev: v.snapshot.Rev, value: result, size: size, moving: isKnown}, size)
		}
		return err
	})
	return result, err
}

func corrupt(err error) error {
	return &fault.Error{
		Reason: ReasonCorrupt, Op: "read stored lines", Err: err,
		Hint: "Restore the database or the bucket from a backup; the log names the run.",
	}
}

func isCorrupt(err error) bool { return errors.Is(err, segment.ErrCorrupt) }

func isGone(err error) bool { return errors.Is(err, errGone) }
