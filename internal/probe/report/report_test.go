package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/probe/report"
)

func line(t testing.TB, r report.Report) string {
	t.Helper()
	printed, err := r.Line()
	if err != nil {
		t.Fatal(err)
	}
	return string(printed)
}

var sample = report.Report{Checks: []report.Check{
	{Name: "ready", Path: report.Inside, Result: report.Passed, Duration: 12 * time.Millisecond},
	{Name: "sign-in", Path: report.Outside, Result: report.Failed, Message: "GET https://wandb.example.com/login: <EOF>", Duration: time.Second},
	{Name: "viewer", Path: report.Inside, Result: report.Skipped, Message: "no API key"},
}}

func TestParse(t *testing.T) {
	good := line(t, sample)
	other := line(t, report.Report{Checks: []report.Check{{Name: "ready", Path: report.Inside, Result: report.Failed}}})
	for sentence, test := range map[string]struct {
		log  string
		want report.Report
		err  string
	}{
		"the line alone":                           {log: good, want: sample},
		"without its newline":                      {log: strings.TrimSpace(good), want: sample},
		"between other lines":                      {log: "passed inside/ready\n" + good + "server: a check failed\n", want: sample},
		"behind a time stamp":                      {log: "2026-11-25T10:00:00Z stdout F " + good, want: sample},
		"with carriage returns":                    {log: strings.ReplaceAll(good, "\n", "\r\n"), want: sample},
		"the last of two, as after a restart":      {log: other + good, want: sample},
		"a later half of a line changes nothing":   {log: good + good[:len(good)/2], want: sample},
		"a later line that mentions the kind":      {log: good + `{"msg":"kubewandb.io/probe done"}` + "\n", want: sample},
		"members of a later time are ignored":      {log: strings.Replace(good, `"checks"`, `"cluster":"a","checks"`, 1), want: sample},
		"after a megabyte of other lines":          {log: strings.Repeat("noise\n", 200_000) + good, want: sample},
		"an empty log":                             {log: "", err: report.ErrNone.Error()},
		"a plain Helm test":                        {log: "Testing…\nOK\n", err: report.ErrNone.Error()},
		"a report before the part that is read":    {log: good + strings.Repeat("noise\n", 20_000), err: report.ErrNone.Error()},
		"another version":                          {log: strings.Replace(good, `"version":1`, `"version":2`, 1), err: "version 2"},
		"a path that is none":                      {log: strings.Replace(good, `"outside"`, `"sideways"`, 1), err: "neither inside nor outside"},
		"a result that is none":                    {log: strings.Replace(good, `"failed"`, `"maybe"`, 1), err: "none of passed"},
		"a name with a line break":                 {log: strings.Replace(good, `"ready"`, `"re\nady"`, 1), err: "its name"},
		"a name that is missing":                   {log: strings.Replace(good, `"ready"`, `""`, 1), err: "its name"},
		"more checks than status can hold":         {log: `{"kind":"kubewandb.io/probe","version":1,"checks":[` + strings.Repeat("{},", 40) + "{}]}", err: "41 checks"},
		"a duration beyond all measure is bounded": {log: `{"kind":"kubewandb.io/probe","version":1,"checks":[{"name":"a","path":"inside","result":"passed","durationMs":9223372036854775807}]}`, want: report.Report{Checks: []report.Check{{Name: "a", Path: report.Inside, Result: report.Passed, Duration: time.Hour}}}},
	} {
		got, err := report.Parse([]byte(test.log))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", sentence, err, test.err)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", sentence, err, diff)
		}
	}
}

func TestALineIsBoundedAndReadable(t *testing.T) {
	var long report.Report
	for i := range 100 {
		long.Checks = append(long.Checks, report.Check{
			Name: fmt.Sprintf("check-%d", i), Path: report.Inside, Result: report.Failed, Message: strings.Repeat("ü\x00\n<\"", 10_000),
		})
	}
	printed := line(t, long)
	if len(printed) > report.MaxSize || strings.Count(printed, "\n") != 1 {
		t.Fatalf("the line has %d bytes and %d line breaks", len(printed), strings.Count(printed, "\n"))
	}
	read, err := report.Parse([]byte(printed))
	if err != nil || len(read.Checks) != report.MaxChecks || !utf8.ValidString(read.Checks[0].Message) {
		t.Errorf("read %d checks, %v", len(read.Checks), err)
	}
}

func TestOfTwoChecksWithOneIdentityTheWorstStays(t *testing.T) {
	check := func(path report.Path, result report.Result) report.Check {
		return report.Check{Name: "api", Path: path, Result: result}
	}
	got := report.Join(
		report.Report{Checks: []report.Check{check(report.Inside, report.Skipped), check(report.Outside, report.Failed)}},
		report.Report{Checks: []report.Check{check(report.Inside, report.Passed), check(report.Outside, report.Passed)}},
	)
	want := report.Report{Checks: []report.Check{check(report.Inside, report.Passed), check(report.Outside, report.Failed)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"wandb-probe": "wandb-probe", "Test Connection": "test-connection", "": "check", strings.Repeat("a", 80): strings.Repeat("a", 63), "ü": "-",
	} {
		if got := report.Name(text); got != want {
			t.Errorf("Name(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(line(f, sample)))
	f.Add([]byte("noise\n" + line(f, sample) + "{\n"))
	f.Add([]byte(`{"kind":"kubewandb.io/probe","version":1,"checks":[{"name":"a","path":"inside","result":"passed","message":"\ud800"},{"name":"a","path":"inside","result":"failed"}]}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		first, err := report.Parse(log)
		if err != nil {
			if len(first.Checks) > 0 {
				t.Error("an error came with checks")
			}
			return
		}
		printed, err := first.Line()
		if err != nil || len(printed) > report.MaxSize || bytes.Count(printed, []byte("\n")) != 1 {
			t.Fatalf("what was read does not print as one bounded line: %d bytes, %v", len(printed), err)
		}
		second, err := report.Parse(printed)
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Errorf("what was printed reads otherwise: %v (-first +second):\n%s", err, diff)
		}
		if _, err := report.Parse(append(printed, log[:min(len(log), 100)]...)); errors.Is(err, report.ErrNone) {
			t.Error("lines behind a report hid it")
		}
	})
}
