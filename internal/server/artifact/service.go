package artifact

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Reasons of errors, beside those of package access.
const (
	// ReasonInvalid: what was asked for breaks a rule of artifacts.
	ReasonInvalid = "ArtifactInvalid"
	// ReasonIncomplete: a manifest names an object that is not there, or that is another one.
	ReasonIncomplete = "ArtifactIncomplete"
	// ReasonConflict: the state of an artifact or collection does not allow it.
	ReasonConflict = "ArtifactConflict"
)

const (
	// DefaultGrace is how long bytes are kept that no version holds: a client that was told not to upload them, because they
	// were stored, has that long to commit.
	DefaultGrace = 48 * time.Hour
	// DefaultAbandoned is the age at which a version that was never committed is deleted.
	DefaultAbandoned = 7 * 24 * time.Hour

	// manifestBudget bounds the manifests that are read at once by commits, by their size in the bucket. A commit holds about
	// half of that in memory.
	manifestBudget = 256 << 20
	// objectCalls run at once for one request.
	objectCalls = 32
)

// Reader reads objects.
type Reader interface {
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Object, error)
	Stat(ctx context.Context, key string) (blob.Object, error)
	Paged() bool
	ListSome(ctx context.Context, folder, beginning string) iter.Seq2[blob.Object, error]
}

// Writer writes objects.
type Writer interface {
	Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) (blob.Object, error)
	Copy(ctx context.Context, from, to string) error
	Delete(ctx context.Context, keys ...string) error
}

// Signer makes URLs by which clients move bytes themselves.
type Signer interface {
	SignGet(ctx context.Context, key string, o blob.GetOptions) (string, error)
	SignPut(ctx context.Context, key string, o blob.PutOptions) (blob.SignedPut, error)
}

// Assembler makes objects of parts.
type Assembler interface {
	TagsParts() bool
	StartUpload(ctx context.Context, key string, o blob.PutOptions) (string, error)
	SignPart(ctx context.Context, key, id string, number int, o blob.PutOptions) (blob.SignedPut, error)
	CompleteUpload(ctx context.Context, key, id string, parts []blob.Part) error
	AbortUpload(ctx context.Context, key, id string) error
}

// Bucket is where bytes are.
type Bucket interface {
	Reader
	Writer
	Signer
	Assembler
}

// Config sets up a Service.
type Config struct {
	// Logger hears of what goes on in the background; nil means slog.Default().
	Logger *slog.Logger
	// Grace is how long bytes are kept that no version holds; 0 means DefaultGrace.
	Grace time.Duration
	// Abandoned is the age at which a version that was never committed is deleted; 0 means DefaultAbandoned.
	Abandoned time.Duration

	// seams for tests
	Now func() time.Time
}

// Service holds the rules. Its methods may be called from any goroutine. Those that name an artifact or a collection by
// its id look whether the user in ctx may see its project; those that take an access.Place trust that somebody did.
type Service struct {
	store  *store.Store
	guard  *access.Guard
	bucket Bucket
	cfg    Config
	// manifests bounds the memory of commits.
	manifests *semaphore.Weighted
	holder    store.ID
}

// New returns a service on a store and a bucket.
func New(s *store.Store, guard *access.Guard, bucket Bucket, cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Abandoned == 0 {
		cfg.Abandoned = DefaultAbandoned
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{
		store: s, guard: guard, bucket: bucket, cfg: cfg, manifests: semaphore.NewWeighted(manifestBudget), holder: s.NewID(),
	}
}

func (s *Service) now() store.Micros { return store.At(s.cfg.Now()) }

func invalid(op string) error { return &fault.Error{Reason: ReasonInvalid, Op: op} }

func conflict(op, hint string) error { return &fault.Error{Reason: ReasonConflict, Op: op, Hint: hint} }

func missing(what string, err error) error {
	return &fault.Error{
		Reason: access.ReasonNotFound, Op: what + " not found", Err: err,
		Hint: "Check the name; it may have been deleted.",
	}
}
