package main

import (
	"strings"
	"testing"
)

func TestTallyCountsTestsAndShowsFailuresOnly(t *testing.T) {
	events := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet success\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Test":"TestB/sub","Output":"why it failed\n"}
{"Action":"fail","Package":"p","Test":"TestB/sub"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"needs a GPU\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"build-output","ImportPath":"q","Output":"q.go:1: syntax error\n"}
not json at all
{"Action":"fail","Package":"p","Elapsed":1.5}
{"Action":"skip","Package":"empty"}
`
	var out strings.Builder
	got, err := tally(strings.NewReader(events), &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := (count{passed: 1, failed: 2, skipped: 1}); got != want {
		t.Errorf("tally = %v, want %v", got, want)
	}
	for _, shown := range []string{"why it failed", "needs a GPU", "q.go:1: syntax error", "not json at all", "fail p (1.5 s)"} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("the output lacks %q:\n%s", shown, out.String())
		}
	}
	if strings.Contains(out.String(), "quiet success") {
		t.Error("the output of a test that passed is shown")
	}
}

func TestTallyShowsWhereATestHung(t *testing.T) {
	events := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"q","Test":"TestB","Output":"of another package\n"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"panic: test timed out after 25m0s\n"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"goroutine 18 [chan receive]\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t1500.045s\n"}
{"Action":"fail","Package":"p","Elapsed":1500}
{"Action":"pass","Package":"q","Test":"TestB"}
{"Action":"pass","Package":"q"}
`
	var out strings.Builder
	got, err := tally(strings.NewReader(events), &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := (count{passed: 1, failed: 2}); got != want {
		t.Errorf("tally = %v, want %v", got, want)
	}
	for _, shown := range []string{"goroutine 18", "test TestA never ended", "test TestA/sub never ended", "fail p (1500.0 s)"} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("the output lacks %q:\n%s", shown, out.String())
		}
	}
	if strings.Contains(out.String(), "of another package") {
		t.Error("the output of a test that goes on in another package is shown")
	}
}

func TestUnknownSuiteIsRefusedWithTheKnownOnes(t *testing.T) {
	_, err := run(t.Context(), []string{"nonsense"})
	if err == nil || !strings.Contains(err.Error(), "localcluster") {
		t.Fatalf("run(nonsense) = %v, want an error that lists the suites", err)
	}
}

func TestSummaryLine(t *testing.T) {
	if got := (count{passed: 12, skipped: 1}).String(); got != "12 passed, 0 failed, 1 skipped" {
		t.Errorf("summary = %q", got)
	}
}
