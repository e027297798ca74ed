package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// bed is a database with a user, in which runs are logged as file_stream does it.
type bed struct {
	*Service
	store  *store.Store
	runs   *run.Service
	ctx    context.Context
	user   account.User
	bucket *folder
}

func newBed(t testing.TB, s *store.Store) *bed {
	t.Helper()
	b := &bed{store: s, bucket: newFolder(t)}
	b.Service = New(s, Config{Bucket: b.bucket, Logger: slog.New(slog.DiscardHandler)})
	b.runs = run.New(s, run.Config{Guard: access.NewGuard(s), Logger: slog.New(slog.DiscardHandler)})
	user, err := account.New(s, account.Config{}).CreateUser(t.Context(), account.NewUser{Username: "ada", Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	b.user, b.ctx = user, account.WithUser(t.Context(), user)
	return b
}

// run makes a run.
func (b *bed) run(t testing.TB, name string) store.Permit {
	t.Helper()
	made, err := b.runs.Upsert(b.ctx, run.Upsert{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	p := made.Place
	return store.Permit{
		UserID: b.user.ID, EntityID: p.Entity.ID, EntityKey: p.Entity.NameKey, OwnerID: p.Entity.UserID, ProjectID: p.Project.ID,
		Project: p.Project.Name, Access: p.Project.Access, RunID: made.ID, Run: made.Name,
	}
}

// log writes lines as one request.
func (b *bed) log(t testing.TB, into store.Permit, stream store.Stream, writer string, first int64, lines ...string) {
	t.Helper()
	raw := make([][]byte, len(lines))
	var stats chunk.Stats
	if len(lines) >= chunk.OutlineLines {
		stats.Sketch(first)
	}
	for i, text := range lines {
		raw[i] = []byte(text)
		if stream == store.StreamHistory {
			_ = chunk.Scan(raw[i], &stats)
		}
	}
	hash := chunk.Hash(raw)
	part := store.Part{
		Stream: stream, FirstLine: first, N: int32(len(lines)), MinStep: store.NoStep, MaxStep: store.NoStep, Hash: hash[:], Body: chunk.Encode(raw),
	}
	if stream == store.StreamHistory {
		part.MinStep, part.MaxStep = stats.Steps()
		part.Stats, part.Outline = chunk.EncodeStats(&stats), chunk.EncodeOutline(&stats, len(lines))
	}
	request := &store.Append{Permit: into, Writer: store.Text(writer), At: store.At(b.now()), Parts: []store.Part{part}}
	if err := errors.Join(b.store.Commit(t.Context(), []*store.Append{request}), request.Err); err != nil {
		t.Fatalf("log into %s: %v", into.Run, err)
	}
}

// model is what a run's history must be: the newest text of every line.
type model struct {
	writers map[string]map[int64]string
	// furthest is the highest step that a writer has reached, of lines that were overwritten too.
	furthest map[string]int64
}

func newModel() *model {
	return &model{writers: map[string]map[int64]string{}, furthest: map[string]int64{}}
}

func (m *model) clone() *model {
	c := newModel()
	for writer, lines := range m.writers {
		c.writers[writer] = maps.Clone(lines)
	}
	maps.Copy(c.furthest, m.furthest)
	return c
}

func (m *model) put(writer string, first int64, lines ...string) {
	if m.writers[writer] == nil {
		m.writers[writer], m.furthest[writer] = map[int64]string{}, store.NoStep
	}
	for i, text := range lines {
		m.writers[writer][first+int64(i)] = text
		step, _ := chunk.Step([]byte(text))
		m.furthest[writer] = max(m.furthest[writer], step)
	}
}

func (m *model) cut(step int64) {
	for writer, lines := range m.writers {
		maps.DeleteFunc(lines, func(_ int64, text string) bool {
			s, _ := chunk.Step([]byte(text))
			return s > step
		})
		m.furthest[writer] = store.NoStep
		for _, text := range lines {
			s, _ := chunk.Step([]byte(text))
			m.furthest[writer] = max(m.furthest[writer], s)
		}
	}
}

func (m *model) next(writer string) int64 {
	next := int64(0)
	for number := range m.writers[writer] {
		next = max(next, number+1)
	}
	return next
}

func (m *model) lines() int64 {
	n := int64(0)
	for writer := range m.writers {
		n += m.next(writer)
	}
	return n
}

// rows are all lines by step, writer and number.
func (m *model) rows() []string {
	type row struct {
		step, number int64
		text         string
	}
	var all []row
	for _, writer := range slices.Sorted(maps.Keys(m.writers)) {
		for _, number := range slices.Sorted(maps.Keys(m.writers[writer])) {
			text := m.writers[writer][number]
			if step, ok := chunk.Step([]byte(text)); ok {
				all = append(all, row{step, number, text})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b row) int { return compare(a.step, b.step) })
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = r.text
	}
	return texts
}

// keys is the answer to historyKeys.
func (m *model) keys() string {
	var totals chunk.Totals
	writers := slices.Sorted(maps.Keys(m.writers))
	slices.SortStableFunc(writers, func(a, b string) int { return compare(m.furthest[a], m.furthest[b]) })
	for _, writer := range writers {
		for _, number := range slices.Sorted(maps.Keys(m.writers[writer])) {
			_ = totals.Scan([]byte(m.writers[writer][number]))
		}
	}
	if totals.Lines == 0 {
		return ""
	}
	return string(keysJSON(&totals))
}

// canonical is a line with its keys in order and every other byte as it was.
func canonical(t testing.TB, text string) string {
	t.Helper()
	strict := appendStrict(nil, []byte(text))
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(strict, &fields); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[key])
		if strings.HasPrefix(value, "{") && !strings.Contains(value, `"_type"`) {
			value = canonical(t, value)
		}
		fmt.Fprintf(&b, "%q:%s ", key, value)
	}
	return b.String()
}

func sameRows(t testing.TB, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range got {
		if g, w := canonical(t, got[i]), canonical(t, want[i]); g != w {
			t.Fatalf("%s: row %d is\n%s, want\n%s", what, i, g, w)
		}
	}
}

// check compares everything that can be read with the model.
func (b *bed) check(t testing.TB, run store.ID, m *model, r *rand.Rand) {
	t.Helper()
	want := m.rows()
	page, err := b.Page(t.Context(), run, 0, 1<<60)
	if err != nil {
		t.Fatal(err)
	}
	stepped := slices.DeleteFunc(slices.Clone(want), func(text string) bool {
		step, _ := chunk.Step([]byte(text))
		return step < 0
	})
	sameRows(t, "the whole as a page", page, stepped)
	full, err := b.Full(t.Context(), run, store.StreamHistory, len(want)+1)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, "all lines", full, want)
	b.checkPages(t, run, stepped, r)
	b.checkChart(t, run)
	keys, err := b.Keys(t.Context(), run)
	if err != nil || string(keys) != m.keys() {
		t.Fatalf("keys are %v\n%s, want\n%s", err, keys, m.keys())
	}
	status, err := b.Status(t.Context(), run)
	if err != nil || status.HistoryLines != m.lines() {
		t.Fatalf("%d lines, %v, want %d", status.HistoryLines, err, m.lines())
	}
	if len(want) > 0 {
		sameRows(t, "the tail", status.HistoryTail, want[len(want)-1:])
	}
}

// checkPages reads some ranges of steps, with all keys and with some.
func (b *bed) checkPages(t testing.TB, run store.ID, rows []string, r *rand.Rand) {
	t.Helper()
	for range 4 {
		from := r.Int64N(60)
		to := from + r.Int64N(30)
		var want, sampled []string
		for _, text := range rows {
			if step, _ := chunk.Step([]byte(text)); step >= from && step < to {
				want = append(want, text)
				if loss := chunk.Field([]byte(text), "loss"); loss != nil {
					sampled = append(sampled, fmt.Sprintf(`{"_step":%s,"loss":%s}`, chunk.Field([]byte(text), "_step"), loss))
				}
			}
		}
		got, err := b.Page(t.Context(), run, from, to)
		if err != nil {
			t.Fatal(err)
		}
		sameRows(t, fmt.Sprintf("steps %d to %d", from, to), got, want)
		spec, err := ParseSpec(fmt.Sprintf(`{"keys":["loss","_step","_step"],"minStep":%d,"maxStep":%d,"samples":%d}`, from, to, to-from))
		if err != nil {
			t.Fatal(err)
		}
		list, err := b.Sample(t.Context(), run, spec)
		if err != nil {
			t.Fatal(err)
		}
		var objects []json.RawMessage
		if err := json.Unmarshal(list, &objects); err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		texts := make([]string, len(objects))
		for i, o := range objects {
			texts[i] = string(o)
		}
		sameRows(t, fmt.Sprintf("steps %d to %d with two keys", from, to), texts, sampled)
	}
}

// checkChart compares charts that were carried on with those of a process that has read nothing yet.
func (b *bed) checkChart(t testing.TB, run store.ID) {
	t.Helper()
	fresh := b.another()
	for _, text := range []string{
		`{"keys":["_step","loss"],"samples":4}`, `{"keys":["loss"],"samples":1}`, `{"keys":["acc","_step","nested.val1"],"samples":7}`, `{"keys":["_step"]}`,
		`{"keys":["a.b"],"samples":500}`, `{"keys":["a\\.b","_step"],"samples":2}`, `{"keys":["nested.val2.deep"],"samples":5}`,
	} {
		spec, err := ParseSpec(text)
		if err != nil {
			t.Fatal(err)
		}
		carried, err := b.Sample(t.Context(), run, spec)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := fresh.Sample(t.Context(), run, spec)
		if err != nil || string(carried) != string(whole) {
			t.Fatalf("%s: carried on it is\n%s\nanew it is\n%s, %v", text, carried, whole, err)
		}
	}
}
