package main

import (
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
)

func TestRulesReportWhatTheyForbidAndNothingElse(t *testing.T) {
	for folder, analyzer := range map[string]*analysis.Analyzer{
		"panic": noPanic, "print": noPrint, "init": noInit, "sleep": noSleep,
	} {
		t.Run(analyzer.Name, func(t *testing.T) {
			analysistest.Run(t, analysistest.TestData(), analyzer, folder)
		})
	}
}
