package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// five are runs with values of every kind.
func five(t testing.TB, sc *scene) run.Upserted {
	t.Helper()
	var last run.Upserted
	for i, u := range []run.Upsert{
		{Name: "a", Config: ptr(`{"lr":{"value":0.1},"n":{"value":9007199254740993},"opt":{"value":{"name":"adam","b":[1,2]}},"a.b":{"value":true}}`),
			Summary: ptr(`{"loss":0.5,"_step":3,"dict":{"val":1.0}}`), Tags: []string{"x", "base line"}, Group: ptr("g1")},
		{Name: "b", Config: ptr(`{"lr":{"value":1e-2},"n":{"value":9007199254740992},"opt":{"value":{"name":"sgd"}},"raw":7}`),
			Summary: ptr(`{"loss":NaN,"dict":{"val":1}}`), Tags: []string{"x"}, Group: ptr("g1"), JobType: ptr("eval")},
		{Name: "c", Config: ptr(`{"lr":{"value":"0.1"}}`), Summary: ptr(`{"loss":-2}`), Notes: ptr("a note")},
		{Name: "d", Config: ptr(`{"lr":{"value":null}}`), Summary: ptr(`{"loss":10}`), State: ptr("pending")},
		{Name: "e", DisplayName: ptr("Fancy Name")},
	} {
		u.Project = "p"
		sc.now = sc.now.Add(time.Second)
		last = sc.put(t, u)
		if i == 1 {
			sc.setState(t, last.ID, store.RunFinished)
		}
	}
	return last
}

func (sc *scene) query(t testing.TB, in run.Upserted, q run.Query) (string, run.Page) {
	t.Helper()
	page, err := sc.Query(sc.ada, in.Place, q)
	if err != nil {
		t.Fatalf("query %+v: %v", q, err)
	}
	var names []string
	for _, r := range page.Runs {
		names = append(names, string(r.Name))
	}
	return strings.Join(names, ""), page
}

func TestFilters(t *testing.T) {
	cases := map[string]string{
		``: "abcde", `{}`: "abcde", `null`: "abcde", `"null"`: "abcde",
		`{"name":"b"}`:                        "b",
		`{"name":{"$in":["a","e","nobody"]}}`: "ae",
		`{"name":{"$nin":["a","e"]}}`:         "bcd",
		`{"display_name":"Fancy Name"}`:       "e",
		`{"displayName":{"$regex":"^Fancy"}}`: "e",
		`{"state":"finished"}`:                "b", `{"state":{"$ne":"running"}}`: "bd",
		`{"state":{"$in":["pending","running"]}}`: "acde",
		`{"group":"g1"}`: "ab", `{"group":null}`: "cde", `{"group":{"$exists":false}}`: "cde", `{"group":""}`: "cde",
		`{"jobType":"eval"}`: "b", `{"notes":{"$regex":"not"}}`: "c",
		`{"tags":"x"}`: "ab", `{"tags":{"$in":["base line","y"]}}`: "a", `{"tags":{"$ne":"x"}}`: "cde",
		`{"tags":{"$regex":"^base"}}`: "a", `{"tags":{"$nin":["x"]}}`: "cde", `{"tags":{"$exists":true}}`: "ab",
		`{"username":"ada"}`: "abcde", `{"user.username":"bob"}`: "", `{"entity":"ada","project":"p"}`: "abcde",
		`{"config.lr":0.1}`: "a", `{"config.lr.value":0.10}`: "a", `{"config.lr":"0.1"}`: "c", `{"config.lr":{"$lt":0.05}}`: "b",
		`{"config.lr":{"$gte":0.01,"$lte":0.1}}`: "ab", `{"config.lr":{"$exists":true}}`: "abc", `{"config.lr":null}`: "de",
		`{"config.n":9007199254740993}`: "a", `{"config.n.value":{"$lt":9007199254740993}}`: "b",
		`{"config.opt.name":"adam"}`: "a", `{"config.opt.value.name":"adam"}`: "a", `{"config.opt.name.value":"sgd"}`: "b",
		`{"config.opt.b":2}`: "a", `{"config.opt.b":[1, 2]}`: "a", `{"config.opt":{"name":"sgd"}}`: "b",
		`{"config.a.b":true}`: "a", `{"config.a.b.value":true}`: "a", `{"config.a.b":false}`: "", `{"config.raw":7}`: "b",
		`{"summary_metrics.loss":{"$gt":0}}`: "ad", `{"summaryMetrics.loss":{"$lt":0}}`: "c", `{"summary_metrics.loss":{"$exists":true}}`: "abcd",
		`{"summary_metrics.dict.val":1}`: "ab", `{"summary_metrics.dict":{"$exists":true}}`: "ab",
		`{"keys_info.keys._step":{"$exists":true}}`:   "a",
		`{"$and":[{"tags":"x"},{"state":"running"}]}`: "a",
		`{"$or":[{"name":"e"},{"config.lr":0.1}]}`:    "ae",
		`{"$nor":[{"name":"e"},{"config.lr":0.1}]}`:   "bcd",
		`{"config.lr":{"$not":{"$gt":0.05}}}`:         "bcde",
		`{"$or":[]}`:                                  "", `{"$and":[]}`: "abcde",
		`{"created_at":{"$gt":"2026-11-01T12:00:02Z"}}`: "cde", `{"createdAt":{"$lte":"2026-11-01T12:00:02"}}`: "ab",
		`{"heartbeatAt":{"$gt":"2026-10-01"}}`: "abcde", `{"duration":{"$gte":0}}`: "abcde", `{"historyLineCount":0}`: "abcde",
	}
	each(t, func(t *testing.T, sc *scene) {
		last := five(t, sc)
		for filter, want := range cases {
			got, page := sc.query(t, last, run.Query{Filter: filter})
			count, err := sc.CountRuns(sc.ada, last.Place, run.Query{Filter: filter})
			if got != want || page.Total != len(want) || err != nil || count != len(want) {
				t.Errorf("%s matches %q (%d, counted %d, %v), want %q", filter, got, page.Total, count, err, want)
			}
		}
	})
}

func TestOrders(t *testing.T) {
	sc := newScene(t, sqlite(t))
	last := five(t, sc)
	for order, want := range map[string]string{
		"": "abcde", "+created_at": "abcde", "created_at": "abcde", "-created_at": "edcba", "-createdAt": "edcba",
		"+summary_metrics.loss": "cadbe", "-summary_metrics.loss": "dacbe", "+config.lr.value": "bacde", "-config.lr": "cabde",
		"-config.n.value": "abcde", "+config.n.value": "bacde", "-name": "edcba", "+state,-created_at": "bdeca", "-heartbeat_at": "edcba",
	} {
		got, _ := sc.query(t, last, run.Query{Order: order})
		if got != want {
			t.Errorf("order %q gives %s, want %s", order, got, want)
		}
		// The same in pages of two, with a run added and one removed on the way.
		paged, after := "", ""
		for {
			part, page := sc.query(t, last, run.Query{Order: order, First: 2, After: after})
			paged += part
			if !page.More {
				break
			}
			after = page.Cursors[len(page.Cursors)-1]
		}
		if paged != want {
			t.Errorf("order %q in pages gives %s, want %s", order, paged, want)
		}
	}
}

func TestPagesGoOnWhateverIsAddedOrRemoved(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		last := five(t, sc)
		first, page := sc.query(t, last, run.Query{Order: "-summary_metrics.loss", First: 3})
		if first != "dac" {
			t.Fatalf("first page %s", first)
		}
		sc.put(t, run.Upsert{Project: "p", Name: "f", Summary: ptr(`{"loss":100}`)})
		sc.put(t, run.Upsert{Project: "p", Name: "g", Summary: ptr(`{"loss":-5}`)})
		if err := sc.Delete(sc.ada, page.Runs[2].ID, false); err != nil {
			t.Fatal(err)
		}
		second, _ := sc.query(t, last, run.Query{Order: "-summary_metrics.loss", After: page.Cursors[2]})
		if second != "gbe" {
			t.Errorf("second page %s", second)
		}
		if all, _ := sc.query(t, last, run.Query{Order: "-summary_metrics.loss"}); all != "fdagbe" {
			t.Errorf("all %s", all)
		}
	})
}

func TestAnAnswerIsNeverOlderThanItsQuestion(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		last := five(t, sc)
		other := run.New(sc.store, sc.Config) // another replica
		for i := range 20 {
			loss := fmt.Sprint(i)
			if _, err := other.Upsert(sc.ada, run.Upsert{Project: "p", Name: "a", Summary: ptr(`{"loss":` + loss + `}`), Config: ptr(`{"i":{"value":` + loss + `}}`)}); err != nil {
				t.Fatal(err)
			}
			if got, _ := sc.query(t, last, run.Query{Filter: `{"summary_metrics.loss":` + loss + `,"config.i":` + loss + `,"name":"a"}`}); got != "a" {
				t.Fatalf("after %d changes the run is not found", i)
			}
		}
	})
}

func TestTheIndexStaysWithinItsBound(t *testing.T) {
	sc := newScene(t, sqlite(t))
	sc.Service = run.New(sc.store, run.Config{Guard: sc.Guard, IndexBytes: 1, Now: sc.Now})
	last := five(t, sc)
	for range 3 {
		if got, _ := sc.query(t, last, run.Query{Filter: `{"config.lr":0.1}`, Order: "-summary_metrics.loss"}); got != "a" {
			t.Errorf("got %q", got)
		}
	}
}

func TestWhatIsNotUnderstoodIsNamed(t *testing.T) {
	sc := newScene(t, sqlite(t))
	last := five(t, sc)
	deep := strings.Repeat(`{"$and":[`, 40) + `{}` + strings.Repeat(`]}`, 40)
	for _, c := range []struct {
		query run.Query
		want  string
	}{
		{run.Query{Filter: `{"config.lr":{"$near":1}}`}, "$near"},
		{run.Query{Filter: `{"$xor":[]}`}, "$xor"},
		{run.Query{Filter: `{"colour":"red"}`}, "colour"},
		{run.Query{Filter: `{"name":{"$in":"a"}}`}, "$in"},
		{run.Query{Filter: `{"$or":{}}`}, "$or"},
		{run.Query{Filter: `{"name":{"$regex":"("}}`}, "$regex"},
		{run.Query{Filter: `{"created_at":{"$gt":"yesterday"}}`}, "yesterday"},
		{run.Query{Filter: `[`}, "JSON"},
		{run.Query{Filter: `[]`}, "object"},
		{run.Query{Filter: deep}, "deeper"},
		{run.Query{Order: "-colour"}, "colour"},
		{run.Query{After: "nonsense"}, "cursor"},
		{run.Query{After: "e30="}, "cursor"},
	} {
		_, err := sc.Query(sc.ada, last.Place, c.query)
		if fault.Reason(err, "") != run.ReasonInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want it to name %s", c.query, err, c.want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{`{"config.lr":{"$gt":0.1}}`, `{"$or":[{"tags":"x"},{"name":{"$regex":"a"}}]}`, `{"config.":1}`, `{"a":{"$not":{}}}`} {
		f.Add(seed, "-config.lr.value", "e30=")
	}
	sc := newScene(f, sqlite(f))
	last := five(f, sc)
	f.Fuzz(func(t *testing.T, filter, order, after string) {
		page, err := sc.Query(context.WithoutCancel(sc.ada), last.Place, run.Query{Filter: filter, Order: order, After: after})
		if err != nil {
			if fault.Reason(err, "") != run.ReasonInvalid {
				t.Fatalf("filter %q order %q: %v", filter, order, err)
			}
			return
		}
		for i, cursor := range page.Cursors { // each cursor leads to what follows it
			rest, err := sc.Query(context.WithoutCancel(sc.ada), last.Place, run.Query{Filter: filter, Order: order, After: cursor})
			if err != nil || len(rest.Runs) != len(page.Runs)-i-1 {
				t.Fatalf("filter %q order %q: after %d of %d come %d, %v", filter, order, i, len(page.Runs), len(rest.Runs), err)
			}
		}
	})
}
