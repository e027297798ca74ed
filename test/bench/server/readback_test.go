package server

import (
	"context"
	"log/slog"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// archive reads what a server that has ended left behind, as a new one does: some lines are in the database, others in the
// bucket already.
type archive struct {
	store   *store.Store
	history *history.Service
	project store.ID
}

func openArchive(tb testing.TB, db store.Config, folder string) archive {
	tb.Helper()
	s := storetest.Open(tb, db)
	bucket, err := blob.Open(tb.Context(), blob.Config{DataDir: folder, ExternalURL: "http://127.0.0.1", Logger: slog.New(slog.DiscardHandler)})
	must(tb, err)
	tb.Cleanup(func() { _ = bucket.Close() })
	entity, err := s.EntityByName(tb.Context(), "bench")
	must(tb, err)
	project, err := s.ProjectByName(tb.Context(), entity.ID, "project")
	must(tb, err)
	return archive{store: s, history: history.New(s, history.Config{Bucket: history.InBucket(bucket)}), project: project.ID}
}

// pageSteps bounds what is held of a run at once.
const pageSteps = 50_000

// each visits every row of a run whose steps have no gap, in their order.
func (a archive) each(tb testing.TB, run string, visit func(line string)) {
	tb.Helper()
	must(tb, a.read(tb.Context(), run, func(line string) error {
		visit(line)
		return nil
	}))
}

// read is each for goroutines that may not end the test. It ends with the first error of visit.
func (a archive) read(ctx context.Context, run string, visit func(line string) error) error {
	row, err := a.store.RunRecordByName(ctx, a.project, run)
	if err != nil {
		return err
	}
	for from := int64(0); ; from += pageSteps {
		lines, err := a.history.Page(ctx, row.ID, from, from+pageSteps)
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, line := range lines {
			if err := visit(line); err != nil {
				return err
			}
		}
	}
}
