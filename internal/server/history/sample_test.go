package history

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestSpecs(t *testing.T) {
	const low, high = math.MinInt64, math.MaxInt64
	for sentence, c := range map[string]struct {
		text string
		want Spec // without keys: refused
	}{
		"what the public API sends":           {`{"keys":["_step","loss"],"samples":500}`, Spec{Keys: []string{"_step", "loss"}, Samples: 500, MinStep: low, MaxStep: high}},
		"no number of samples":                {`{"keys":["a"]}`, Spec{Keys: []string{"a"}, Samples: 500, MinStep: low, MaxStep: high}},
		"a page of the core":                  {`{"keys":["a","_step","_step"],"minStep":1000,"maxStep":2000,"samples":1000}`, Spec{Keys: []string{"a", "_step"}, Samples: 1000, MinStep: 1000, MaxStep: 2000, Page: true}},
		"a range whose end belongs to it":     {`{"keys":["a"],"minStep":10,"maxStep":19,"samples":5}`, Spec{Keys: []string{"a"}, Samples: 5, MinStep: 10, MaxStep: 20}},
		"an open range":                       {`{"keys":["a"],"minStep":10}`, Spec{Keys: []string{"a"}, Samples: 500, MinStep: 10, MaxStep: high}},
		"floats, which some clients write":    {`{"keys":["a"],"minStep":1e3,"maxStep":2000.0,"samples":1000.0}`, Spec{Keys: []string{"a"}, Samples: 1000, MinStep: 1000, MaxStep: 2000, Page: true}},
		"more samples than anybody reads":     {`{"keys":["a"],"samples":1e18}`, Spec{Keys: []string{"a"}, Samples: maxSamples, MinStep: low, MaxStep: high}},
		"no samples at all":                   {`{"keys":["a"],"samples":-3}`, Spec{Keys: []string{"a"}, Samples: 1, MinStep: low, MaxStep: high}},
		"members that nobody knows, and null": {`{"keys":["a"],"samples":null,"bins":7}`, Spec{Keys: []string{"a"}, Samples: 500, MinStep: low, MaxStep: high}},
		"no JSON":                             {`keys=a`, Spec{}},
		"keys that are no list":               {`{"keys":"a"}`, Spec{}},
		"samples that are no number":          {`{"keys":["a"],"samples":"many"}`, Spec{}},
		"too many keys":                       {`{"keys":["` + strings.Repeat(`a","`, maxSpecKeys) + `b"]}`, Spec{}},
	} {
		got, err := ParseSpec(c.text)
		if len(c.want.Keys) == 0 {
			if fault.Reason(err, "") != ReasonSpecInvalid || fault.Hint(err) == "" {
				t.Errorf("%s: %+v, %v", sentence, got, err)
			}
			continue
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, %v, want %+v", sentence, got, err, c.want)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add(`{"keys":["_step","loss"],"samples":500,"minStep":0,"maxStep":500}`)
	f.Add(`{"keys":[],"samples":1e400,"maxStep":9223372036854775807}`)
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := ParseSpec(text)
		if err != nil {
			return
		}
		if spec.Samples < 1 || spec.Samples > maxSamples || len(spec.Keys) > maxSpecKeys {
			t.Errorf("%q gives %+v", text, spec)
		}
		if spec.Page && (spec.MinStep < 0 || spec.MaxStep < spec.MinStep-maxSamples) {
			t.Errorf("%q is the page %+v", text, spec)
		}
	})
}

// TestSamplesHoldWhatACurveNeeds asks for few of many rows, before and after compaction.
func TestSamplesHoldWhatACurveNeeds(t *testing.T) {
	b := newBed(t, storetest.Open(t, storetest.SQLite(t)))
	run := b.run(t, "curve")
	for first := 0; first < 3000; first += 100 {
		var lines []string
		for i := first; i < first+100; i++ {
			loss := fmt.Sprint(1000 - i)
			switch i {
			case 1234:
				loss = "1e+06"
			case 2345:
				loss = "-100000"
			case 77:
				loss = "NaN"
			case 78:
				loss = `"text"`
			}
			line := fmt.Sprintf(`{"_step":%d,"loss":%s,"acc":%d.25}`, i, loss, i%2999)
			if i%10 == 3 {
				line = fmt.Sprintf(`{"_step":%d,"other":1}`, i)
			}
			lines = append(lines, line)
		}
		b.log(t, run, store.StreamHistory, "", int64(first), lines...)
	}
	for _, compacted := range []bool{false, true} {
		if compacted {
			if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
				t.Fatal(err)
			}
			b.Service = b.another()
		}
		spec, err := ParseSpec(`{"keys":["_step","loss","acc"],"samples":50}`)
		if err != nil {
			t.Fatal(err)
		}
		list, err := b.Sample(t.Context(), run.RunID, spec)
		if err != nil {
			t.Fatal(err)
		}
		var rows []struct {
			Step int `json:"_step"`
			Loss any
			Acc  float64
		}
		if err := json.Unmarshal(list, &rows); err != nil {
			t.Fatal(err)
		}
		if len(rows) < 45 || len(rows) > 50 || rows[0].Step != 0 || rows[len(rows)-1].Step != 2999 {
			t.Errorf("%d rows from %d to %d", len(rows), rows[0].Step, rows[len(rows)-1].Step)
		}
		found := map[int]bool{}
		for _, r := range rows {
			found[r.Step] = true
			if r.Step%10 == 3 {
				t.Errorf("step %d has not all keys", r.Step)
			}
		}
		for _, step := range []int{1234, 2345, 2998} { // the extremes of loss and acc
			if !found[step] {
				t.Errorf("step %d with an extreme is missing", step)
			}
		}
		again, err := b.Sample(t.Context(), run.RunID, spec)
		if err != nil || string(again) != string(list) {
			t.Errorf("the same question has two answers, %v", err)
		}
		if spec, err = ParseSpec(`{"keys":["loss"],"samples":10,"minStep":75,"maxStep":79}`); err != nil {
			t.Fatal(err)
		}
		list, err = b.Sample(t.Context(), run.RunID, spec)
		if want := `[{"loss":925},{"loss":924},{"loss":"NaN"},{"loss":"text"},{"loss":921}]`; err != nil || string(list) != want {
			t.Errorf("%s, %v, want %s", list, err, want)
		}
	}
}

func TestFewOfManyLines(t *testing.T) {
	values := make([]int, 100)
	for i := range values {
		values[i] = i
	}
	for n, want := range map[int]string{0: "[]", -1: "[]", 1: "[99]", 2: "[0 99]", 4: "[0 33 66 99]"} {
		if got := fmt.Sprint(spread(values, n)); got != want {
			t.Errorf("%d of them are %s, want %s", n, got, want)
		}
	}
	if got := spread(values, 200); len(got) != 100 {
		t.Errorf("%d of 100", len(got))
	}
}

func TestStrictJSON(t *testing.T) {
	for text, want := range map[string]string{
		`NaN`: `"NaN"`, `-Infinity`: `"-Infinity"`, `-1`: `-1`, `1e-05`: `1e-05`, `"NaN \" Infinity"`: `"NaN \" Infinity"`,
		`[NaN,{"a":Infinity,"NaN":-2}]`: `["NaN",{"a":"Infinity","NaN":-2}]`, "\"\xff\"": "\"\uFFFD\"", `null`: `null`, `9007199254740993`: `9007199254740993`,
	} {
		if got := string(appendStrict(nil, []byte(text))); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}
