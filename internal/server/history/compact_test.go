package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// another is a second replica on the same database and bucket.
func (b *bed) another() *Service {
	return New(b.store, Config{Bucket: b.bucket, Logger: slog.New(slog.DiscardHandler), Now: b.now})
}

// logged is a run with some chunks of random lines.
func (b *bed) logged(t testing.TB, name string, r *rand.Rand, chunks int) (store.Permit, *model) {
	t.Helper()
	run, m := b.run(t, name), newModel()
	for range chunks {
		lines := randomLines(r, m.furthest[""]+1, 1+r.IntN(9))
		b.log(t, run, store.StreamHistory, "", m.next(""), lines...)
		m.put("", m.next(""), lines...)
	}
	return run, m
}

// stored is how many live chunks and segments a stream has.
func (b *bed) stored(t testing.TB, run store.ID, stream store.Stream) (chunks, segments int) {
	t.Helper()
	snapshot, err := b.store.RunSnapshot(t.Context(), run, stream)
	if err != nil {
		t.Fatal(err)
	}
	return len(snapshot.Chunks), len(snapshot.Segments)
}

func TestACompactorThatDiesLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(3, 3))
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		b.now = func() time.Time { return now }
		run, m := b.logged(t, "dying", r, 20)
		died := errors.New("the program died")
		for sentence, fail := range map[string]func(){
			"before the object is written": func() { b.bucket.failPut = func(string) error { return died } },
			"after the object is written":  func() { b.bucket.afterPut = func(string) error { return died } },
		} {
			b.bucket.failPut, b.bucket.afterPut = nil, nil
			fail()
			if err := b.CompactRun(t.Context(), run.RunID, 1); !errors.Is(err, died) {
				t.Fatalf("%s: %v", sentence, err)
			}
			if chunks, segments := b.stored(t, run.RunID, store.StreamHistory); chunks != 20 || segments != 0 {
				t.Fatalf("%s: %d chunks and %d segments", sentence, chunks, segments)
			}
			b.check(t, run.RunID, m, r)
		}
		b.bucket.failPut, b.bucket.afterPut = nil, nil
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		if n := len(b.bucket.objects(t)); n != 2 {
			t.Errorf("%d objects, want the orphan and the segment", n)
		}
		now = now.Add(objectLife + time.Hour)
		if err := b.deleteObjects(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(b.bucket.objects(t)); n != 1 {
			t.Errorf("%d objects a day later, want the segment alone", n)
		}
		b.Service = b.another()
		b.check(t, run.RunID, m, r)
	})
}

func TestOneReplicaCompactsARun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(4, 4))
		run, m := b.logged(t, "leased", r, 20)
		other := b.another()
		now := time.Now()
		b.bucket.failPut = func(string) error { // the other one tries while this one is at work
			b.bucket.failPut = nil
			if err := other.CompactRun(t.Context(), run.RunID, 1); err != nil {
				t.Errorf("the second replica: %v", err)
			}
			if n := len(b.bucket.objects(t)); n != 0 {
				t.Errorf("the second replica wrote %d objects", n)
			}
			return nil
		}
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		b.check(t, run.RunID, m, r)

		// A replica that is killed keeps its lease until it ends.
		if granted, err := s.LeaseRun(t.Context(), run.RunID, 7, now, now.Add(leaseLife)); err != nil || !granted {
			t.Fatal(granted, err)
		}
		lines := randomLines(r, m.furthest[""]+1, 5)
		b.log(t, run, store.StreamHistory, "", m.next(""), lines...)
		m.put("", m.next(""), lines...)
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		if chunks, _ := b.stored(t, run.RunID, store.StreamHistory); chunks != 1 {
			t.Errorf("%d chunks: a run that is leased was compacted", chunks)
		}
		b.now = func() time.Time { return now.Add(leaseLife + time.Second) }
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		if chunks, _ := b.stored(t, run.RunID, store.StreamHistory); chunks != 0 {
			t.Errorf("%d chunks left after the lease has ended", chunks)
		}
		b.check(t, run.RunID, m, r)
	})
}

// TestTwoCompactorsWithoutALease shows that the lease only saves work: what moved meanwhile is not written.
func TestTwoCompactorsWithoutALease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(5, 5))
		for name, between := range map[string]func(run store.Permit, m *model) error{
			"another compaction": func(run store.Permit, _ *model) error {
				_, err := b.another().compactOnce(t.Context(), run.RunID, store.StreamHistory, 1)
				return err
			},
			"a rewind": func(run store.Permit, m *model) error {
				_, err := b.another().Rewind(t.Context(), run.RunID, 10)
				m.cut(10)
				return err
			},
		} {
			run, m := b.logged(t, name, r, 12)
			if name == "a rewind" { // also of what is compacted already
				for range 5 {
					if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
						t.Fatal(err)
					}
					lines := randomLines(r, m.furthest[""]+1, 3)
					b.log(t, run, store.StreamHistory, "", m.next(""), lines...)
					m.put("", m.next(""), lines...)
				}
			}
			b.bucket.afterPut = func(string) error {
				b.bucket.afterPut = nil
				return between(run, m)
			}
			if _, err := b.compactOnce(t.Context(), run.RunID, store.StreamHistory, 1); !errors.Is(err, store.ErrMoved) {
				t.Errorf("%s: %v, want ErrMoved", name, err)
			}
			b.check(t, run.RunID, m, r)
		}
	})
}

// TestReadersMeetCompactions reads while lines are logged, overwritten and compacted.
func TestReadersMeetCompactions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(6, 6))
		run, m := b.logged(t, "busy", r, 10)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		reader := b.another()
		least := len(m.rows())
		group.Go(func() {
			for ctx.Err() == nil {
				lines, err := reader.Full(ctx, run.RunID, store.StreamHistory, 1<<20)
				if err == nil && len(lines) < least {
					t.Errorf("%d lines, and there are at least %d", len(lines), least)
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("read: %v", err)
					return
				}
			}
		})
		for range 15 {
			lines := randomLines(r, m.furthest[""]+1, 4)
			b.log(t, run, store.StreamHistory, "", m.next(""), lines...)
			m.put("", m.next(""), lines...)
			if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		group.Wait()
		b.check(t, run.RunID, m, r)
	})
}

func TestEveryStreamIsCompacted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBed(t, s)
		run := b.run(t, "streams")
		var events []string
		for i := range 30 {
			text := fmt.Sprintf("2026-01-01T00:00:%02d.000000 line %d {no JSON", i, i)
			event := fmt.Sprintf(`{"system.cpu":%d.5,"_runtime":%d,"_timestamp":1.7e+09,"_wandb":true}`, i, i)
			b.log(t, run, store.StreamConsole, "", int64(i), text)
			b.log(t, run, store.StreamEvents, "", int64(i), event)
			events = append(events, event)
		}
		b.log(t, run, store.StreamConsole, "", 3, "ERROR 2026-01-01T00:00:03.500000 again")
		for _, compacted := range []bool{false, true} {
			if compacted {
				if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
					t.Fatal(err)
				}
				for _, stream := range []store.Stream{store.StreamConsole, store.StreamEvents} {
					if chunks, segments := b.stored(t, run.RunID, stream); chunks != 0 || segments != 1 {
						t.Errorf("stream %d has %d chunks and %d segments", stream, chunks, segments)
					}
				}
			}
			got, err := b.Full(t.Context(), run.RunID, store.StreamEvents, 100)
			if err != nil {
				t.Fatal(err)
			}
			sameRows(t, "events", got, events)
			metrics, err := b.SystemMetrics(t.Context(), run.RunID)
			if err != nil {
				t.Fatal(err)
			}
			sameRows(t, "the last event", []string{metrics}, events[29:])
			page, err := b.LogLines(t.Context(), run.RunID, LogRange{})
			if err != nil || len(page.Lines) != 30 || page.More {
				t.Fatalf("%d lines of the console, %v", len(page.Lines), err)
			}
			if page.Lines[3].Text != "again" || page.Lines[3].Level != "error" || page.Lines[29].Text != "line 29 {no JSON" {
				t.Errorf("console %+v", page.Lines[3])
			}
		}
	})
}

func TestSegmentsGrow(t *testing.T) {
	for sentence, c := range map[string]struct {
		sizes []int64
		size  int64
		want  int
	}{
		"the first":                            {nil, 1 << 20, 0},
		"two of one size wait":                 {[]int64{1 << 20, 1 << 20}, 1 << 20, 0},
		"three of one size and a new one":      {[]int64{1 << 20, 1 << 20, 1 << 20}, 1 << 20, 3},
		"a larger one before them stays":       {[]int64{16 << 20, 1 << 20, 1 << 20, 1 << 20}, 1 << 20, 3},
		"three larger ones follow":             {[]int64{4 << 20, 4 << 20, 4 << 20, 1 << 20, 1 << 20, 1 << 20}, 1 << 20, 6},
		"small ones before a large one stay":   {[]int64{1 << 20, 1 << 20, 64 << 20}, 1 << 20, 0},
		"nothing grows beyond the largest":     {[]int64{60 << 20, 60 << 20, 60 << 20}, 60 << 20, 0},
		"a large new one takes small ones too": {[]int64{1 << 10, 1 << 12, 1 << 14}, 1 << 20, 3},
	} {
		if got := toAbsorb(c.sizes, c.size); got != c.want {
			t.Errorf("%s: %d, want %d", sentence, got, c.want)
		}
	}
}

// TestObjectsLiveAsLongAsTheyAreNeeded deletes a parent whose lines a fork has.
func TestObjectsLiveAsLongAsTheyAreNeeded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(8, 8))
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		b.now = func() time.Time { return now }
		parent, m := b.logged(t, "parent", r, 10)
		if err := b.CompactRun(t.Context(), parent.RunID, 1); err != nil {
			t.Fatal(err)
		}
		child := b.run(t, "child")
		if _, err := b.Fork(t.Context(), child.RunID, parent.RunID, 12); err != nil {
			t.Fatal(err)
		}
		m.cut(12)
		if err := b.Delete(t.Context(), parent.RunID); err != nil {
			t.Fatal(err)
		}
		later := func() {
			now = now.Add(objectLife + time.Hour)
			if err := b.deleteObjects(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.Service = New(s, Config{Bucket: b.bucket, Now: func() time.Time { return now }})
		}
		later()
		b.check(t, child.RunID, m, r)
		if keys, err := b.Keys(t.Context(), parent.RunID); keys != nil || err != nil {
			t.Errorf("the deleted run has keys %s, %v", keys, err)
		}
		if err := b.Delete(t.Context(), child.RunID); err != nil {
			t.Fatal(err)
		}
		later()
		if n := b.bucket.objects(t); len(n) != 0 {
			t.Errorf("objects %q are left", n)
		}
	})
}

// TestARequestThatComesAgainIsKnown also where its lines are in a segment.
func TestARequestThatComesAgainIsKnown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(9, 9))
		run, m := b.logged(t, "again", r, 8)
		late := randomLines(r, 100, 3)
		at := m.next("")
		b.log(t, run, store.StreamHistory, "", at, late...)
		newer := randomLines(r, 200, 3)
		b.log(t, run, store.StreamHistory, "", at, newer...)
		m.put("", at, newer...)
		m.furthest[""] = max(m.furthest[""], 102)
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		b.log(t, run, store.StreamHistory, "", at, late...)
		if chunks, _ := b.stored(t, run.RunID, store.StreamHistory); chunks != 0 {
			t.Errorf("%d chunks: the late repeat was taken for new lines", chunks)
		}
		b.check(t, run.RunID, m, r)
	})
}

// checkKeys compares the keys that services tell with the model.
func (b *bed) checkKeys(t *testing.T, run store.ID, m *model, services ...*Service) {
	t.Helper()
	want := m.keys()
	for i, s := range services {
		keys, err := s.Keys(t.Context(), run)
		if err != nil || string(keys) != want {
			t.Fatalf("after %d lines service %d tells %d bytes of keys, want %d: %v", m.lines(), i, len(keys), len(want), err)
		}
	}
}

// TestWideLines have more keys than a block has columns.
func TestWideLines(t *testing.T) {
	b, r := newBed(t, storetest.Open(t, storetest.SQLite(t))), rand.New(rand.NewPCG(10, 10))
	run, m := b.run(t, "wide"), newModel()
	wide := func(step int64, keys int) string {
		text := []byte("{")
		for key := range keys {
			text = fmt.Appendf(text, `"metric/%05d":%v,`, key, r.Float64())
		}
		return string(fmt.Appendf(text, `"loss":%d,"_step":%d}`, step, step))
	}
	often, seldom := b.another(), b.another()
	for i := range int64(14) {
		line := wide(i, []int{4, 6000}[i%2])
		b.log(t, run, store.StreamHistory, "", i, line)
		m.put("", i, line)
		b.checkKeys(t, run.RunID, m, often)
		if i%3 == 2 {
			if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
				t.Fatal(err)
			}
			b.checkKeys(t, run.RunID, m, often)
		}
		if i%4 == 0 { // in the midst of what is compacted next
			b.checkKeys(t, run.RunID, m, seldom)
		}
	}
	b.checkKeys(t, run.RunID, m, b.Service, often, seldom)
	want := m.rows()
	got, err := b.Page(t.Context(), run.RunID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, "wide lines", got, want)
	b.checkPages(t, run.RunID, want, r)
	if _, err := b.Rewind(t.Context(), run.RunID, 8); err != nil {
		t.Fatal(err)
	}
	m.cut(8)
	b.checkKeys(t, run.RunID, m, b.another(), often, seldom)
	again := wide(9, 5000)
	b.log(t, run, store.StreamHistory, "", 9, again)
	m.put("", 9, again)
	b.checkKeys(t, run.RunID, m, b.another(), often, seldom)
	if _, segments := b.stored(t, run.RunID, store.StreamHistory); segments == 0 {
		t.Error("nothing was compacted")
	}
}

func TestSpans(t *testing.T) {
	got := union(span{5, 7}, span{1, 3}, span{3, 4}, span{6, 9}, span{9, 9})
	if want := (spans{{1, 4}, {5, 9}}); !slices.Equal(got, want) {
		t.Fatalf("union %v", got)
	}
	for line, want := range map[int64]bool{0: false, 1: true, 3: true, 4: false, 5: true, 8: true, 9: false} {
		if got.has(line) != want {
			t.Errorf("line %d: %v", line, !want)
		}
	}
	if !got.covers(span{5, 9}) || got.covers(span{3, 6}) || got.covers(span{8, 10}) {
		t.Error("covers")
	}
	back, err := decodeSpans(got.encode())
	if err != nil || !slices.Equal(back, got) {
		t.Errorf("%v, %v", back, err)
	}
	if _, err := decodeSpans([]byte{1}); err == nil {
		t.Error("half of a span was read")
	}
}

func TestCompactionGoesOnBesideReaders(t *testing.T) {
	b, r := newBed(t, storetest.Open(t, storetest.SQLite(t))), rand.New(rand.NewPCG(6, 6))
	run, m := b.logged(t, "r", r, 20)
	done, err := b.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !b.reading.Any() {
		t.Error("who reads is not counted")
	}
	if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
		t.Fatal(err)
	}
	if chunks, _ := b.stored(t, run.RunID, store.StreamHistory); chunks != 0 {
		t.Errorf("%d chunks left", chunks)
	}
	if done(); b.reading.Any() {
		t.Error("who has read is still counted")
	}
	b.check(t, run.RunID, m, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.turn(ctx); err == nil || b.reading.Any() {
		t.Errorf("who has gone is still counted: %t, %v", b.reading.Any(), err)
	}
}
