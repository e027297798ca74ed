package server

import (
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
	row, err := a.store.RunRecordByName(tb.Context(), a.project, run)
	must(tb, err)
	for from := int64(0); ; from += pageSteps {
		lines, err := a.history.Page(tb.Context(), row.ID, from, from+pageSteps)
		must(tb, err)
		for _, line := range lines {
			visit(line)
		}
		if len(lines) == 0 {
			return
		}
	}
}
