package server

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/serverprocess"
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
				p := start(b, nullServer, "", store.Config{})
				o := newLoad(p.URL, "none", s).drive(b, loadTime(), false)
				null = o.values() / o.took.Seconds()
				p.End(b)
				report(b, o, p)
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
	p := start(b, realServer, folder, db)
	o := newLoad(p.URL, key.Reveal(), s).drive(b, loadTime(), true)
	settle(b, db)
	p.End(b)
	report(b, o, p)
	reads := slices.Concat(o.keys, o.charts)
	b.ReportMetric(float64(len(reads)), "reads")
	for name, took := range map[string][]time.Duration{"read": reads, "keys": o.keys, "chart": o.charts} {
		b.ReportMetric(milliseconds(percentile(took, 0.5)), name+"-p50-ms")
		b.ReportMetric(milliseconds(percentile(took, 0.99)), name+"-p99-ms")
	}
	if null > 0 {
		b.ReportMetric(100*o.values()/o.took.Seconds()/null, "%of-null")
	}
	verify(b, db, o, folder)
}

// BenchmarkServerDisk tells what numbers take that do not come again, when compaction has caught up.
func BenchmarkServerDisk(b *testing.B) {
	for _, s := range []shape{
		{name: "small", lines: 50, clients: 4, bodies: 640, once: true},
		{name: "large", lines: 7000, clients: 4, bodies: 5, once: true},
	} {
		for engine, database := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLite, "mysql": storetest.MySQL} {
			b.Run(s.name+"/"+engine, func(b *testing.B) {
				folder, db := b.TempDir(), database(b)
				if db.MySQL == nil {
					db.SQLitePath = filepath.Join(folder, "wandb.sqlite")
				}
				key := furnish(b, db, s.clients)
				p := start(b, realServer, folder, db)
				o := newLoad(p.URL, key.Reveal(), s).drive(b, settled, false)
				settle(b, db)
				p.End(b)
				b.ReportMetric(float64(verify(b, db, o, folder))/o.values(), "disk-B/value")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// settled is how long compaction may take to catch up with what a load has left.
const settled = 5 * time.Minute

// settle waits until compaction has nothing left to do.
func settle(tb testing.TB, db store.Config) {
	tb.Helper()
	s, err := store.Open(db)
	must(tb, err)
	defer func() { must(tb, s.Close()) }() // before the server's last connection, which writes the log back
	must(tb, s.Prepare(tb.Context(), false))
	for began := time.Now(); ; wait(tb, time.Second/2) {
		runs, err := s.Backlog(tb.Context(), true, compactedFrom, 0, 1)
		must(tb, err)
		if len(runs) == 0 {
			tb.Logf("compaction had caught up %s after the load", time.Since(began).Round(time.Second))
			return
		}
		if time.Since(began) > settled {
			tb.Fatalf("compaction has not caught up %s after the load", settled)
		}
	}
}

// compactedFrom is how many chunks a writer has when they are compacted.
const compactedFrom = 64

func report(b *testing.B, o outcome, p *serverprocess.Process) {
	b.Helper()
	b.ReportMetric(o.values()/o.took.Seconds(), "values/s")
	b.ReportMetric(milliseconds(percentile(o.latencies, 0.5)), "p50-ms")
	b.ReportMetric(milliseconds(percentile(o.latencies, 0.99)), "p99-ms")
	b.ReportMetric(float64(p.Peak())/(1<<20), "peak-MiB")
	b.ReportMetric(float64(p.CPU().Nanoseconds())/o.values(), "cpu-ns/value")
	b.ReportMetric(0, "ns/op")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

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

// verify reads every row back, and returns what they take on disk. Each step has to be there once.
func verify(tb testing.TB, db store.Config, o outcome, folder string) (disk int64) {
	tb.Helper()
	left := openArchive(tb, db, folder)
	group, ctx := errgroup.WithContext(tb.Context())
	group.SetLimit(runtime.GOMAXPROCS(0))
	for c, want := range o.lines {
		group.Go(func() error {
			next, run := int64(0), fmt.Sprintf("run-%d", c)
			err := left.read(ctx, run, func(line string) error {
				if step, ok := chunk.Step([]byte(line)); !ok || step != next {
					return fmt.Errorf("row %d of %s is %s", next, run, line)
				}
				next++
				return nil
			})
			if err == nil && next != int64(want) {
				err = fmt.Errorf("%s has %d rows, %d were acknowledged", run, next, want)
			}
			return err
		})
	}
	must(tb, group.Wait())
	disk = folderSize(tb, folder) // the bucket, and SQLite's file
	if db.MySQL == nil {
		return disk
	}
	pool, _ := left.store.Pools()
	_, err := pool.ExecContext(tb.Context(), "ANALYZE TABLE chunks")
	must(tb, err)
	var tables int64
	must(tb, pool.QueryRowContext(tb.Context(), "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()").Scan(&tables))
	return disk + tables
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
