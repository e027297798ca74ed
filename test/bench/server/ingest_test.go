package server

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// leastTime is how long each load lasts at least; -benchtime makes it longer.
const leastTime = 4 * time.Second

func loadTime() time.Duration {
	d, err := time.ParseDuration(flag.Lookup("test.benchtime").Value.String())
	if err != nil {
		return leastTime
	}
	return max(d, leastTime)
}

// BenchmarkServerIngest sends metrics as fast as they are acknowledged. null is a server that only reads and answers; of-null
// is the share of its values per second that the real one reaches.
func BenchmarkServerIngest(b *testing.B) {
	for _, s := range []shape{
		{name: "small", lines: 50, clients: 20, bodies: 8},
		{name: "large", lines: 7000, clients: 20, bodies: 1},
	} {
		b.Run(s.name, func(b *testing.B) {
			null := 0.0
			b.Run("null", func(b *testing.B) {
				p := start(b, "null", "", store.Config{})
				o := drive(b, p.url, "none", s, loadTime())
				null = o.values() / o.took.Seconds()
				report(b, o, p.stop(b))
			})
			b.Run("sqlite", func(b *testing.B) {
				folder := b.TempDir()
				db := storetest.SQLite(b)
				db.SQLitePath = filepath.Join(folder, "wandb.sqlite")
				ingest(b, s, folder, db, null)
			})
			b.Run("mysql", func(b *testing.B) { ingest(b, s, b.TempDir(), storetest.MySQL(b), null) })
		})
	}
}

func ingest(b *testing.B, s shape, folder string, db store.Config, null float64) {
	b.Helper()
	key := furnish(b, db, s.clients)
	p := start(b, "real", folder, db)
	o := drive(b, p.url, key.Reveal(), s, loadTime())
	report(b, o, p.stop(b))
	if null > 0 {
		b.ReportMetric(100*o.values()/o.took.Seconds()/null, "%of-null")
	}
	b.ReportMetric(float64(verify(b, db, o, folder))/o.values(), "disk-B/value")
}

func report(b *testing.B, o outcome, peak int64) {
	b.Helper()
	b.ReportMetric(o.values()/o.took.Seconds(), "values/s")
	b.ReportMetric(float64(o.percentile(0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(o.percentile(0.99).Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// furnish makes a user, a project and a run for each client, and returns the user's key.
func furnish(tb testing.TB, db store.Config, clients int) redact.Secret {
	tb.Helper()
	s, err := store.Open(db)
	must(tb, err)
	defer func() { must(tb, s.Close()) }()
	ctx := tb.Context()
	must(tb, s.Prepare(ctx, true))
	accounts := account.New(s, account.Config{})
	user, err := accounts.CreateUser(ctx, account.NewUser{Username: "bench", Email: "bench@example.com"})
	must(tb, err)
	_, key, err := accounts.CreateKey(ctx, user, "")
	must(tb, err)
	entity, err := s.EntityByName(ctx, "bench")
	must(tb, err)
	project, _, err := s.EnsureProject(ctx, store.Project{EntityID: entity.ID, Name: "project", UserID: user.ID, Access: store.AccessPrivate})
	must(tb, err)
	for c := range clients {
		_, err := s.ChangeRun(ctx, store.RunKey{ProjectID: project.ID, Name: store.Text(fmt.Sprintf("run-%d", c))}, "",
			func(before store.RunBefore) (store.RunAfter, error) {
				after := store.RunAfter{Run: before.Run, State: store.RunRunning}
				after.UserID = user.ID
				return after, nil
			})
		must(tb, err)
	}
	return key
}

// verify reads every line back, and returns what they take on disk.
func verify(tb testing.TB, db store.Config, o outcome, folder string) (disk int64) {
	tb.Helper()
	left := openArchive(tb, db, folder)
	want, got := 0, 0
	for c, n := range o.lines {
		want += n
		left.each(tb, fmt.Sprintf("run-%d", c), func(string) { got++ })
	}
	if got != want {
		tb.Errorf("%d lines are stored, %d were acknowledged", got, want)
	}
	if db.MySQL == nil {
		return folderSize(tb, folder)
	}
	pool, _ := left.store.Pools()
	_, err := pool.ExecContext(tb.Context(), "ANALYZE TABLE chunks")
	must(tb, err)
	must(tb, pool.QueryRowContext(tb.Context(), "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()").Scan(&disk))
	return disk
}

func folderSize(tb testing.TB, folder string) (size int64) {
	tb.Helper()
	must(tb, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err == nil {
			size += info.Size()
		}
		return err
	}))
	return size
}
