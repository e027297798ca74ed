// Command lint runs the analyzers that this repository holds its Go code to: go vet's, staticcheck's, error wrapping,
// and the repository's own rules. Run it as "make lint"; an exit code of 3 means that something was found.
package main

import (
	"slices"

	"github.com/polyfloyd/go-errorlint/errorlint"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/multichecker"
	"golang.org/x/tools/go/analysis/passes/copylock"
	"golang.org/x/tools/go/analysis/passes/errorsas"
	"golang.org/x/tools/go/analysis/passes/httpresponse"
	"golang.org/x/tools/go/analysis/passes/loopclosure"
	"golang.org/x/tools/go/analysis/passes/lostcancel"
	"golang.org/x/tools/go/analysis/passes/nilness"
	"golang.org/x/tools/go/analysis/passes/printf"
	"golang.org/x/tools/go/analysis/passes/slog"
	"golang.org/x/tools/go/analysis/passes/structtag"
	"golang.org/x/tools/go/analysis/passes/unmarshal"
	"golang.org/x/tools/go/analysis/passes/unusedresult"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
)

func main() {
	multichecker.Main(analyzers()...)
}

func analyzers() []*analysis.Analyzer {
	list := []*analysis.Analyzer{
		copylock.Analyzer, errorsas.Analyzer, httpresponse.Analyzer, loopclosure.Analyzer, lostcancel.Analyzer,
		nilness.Analyzer, printf.Analyzer, slog.Analyzer, structtag.Analyzer, unmarshal.Analyzer, unusedresult.Analyzer,
		errorlint.NewAnalyzer(),
		noPanic, noPrint, noInit, noSleep,
	}
	for _, group := range slices.Concat(staticcheck.Analyzers, simple.Analyzers) {
		list = append(list, group.Analyzer)
	}
	return list
}
