// Command testrun runs the suites of this repository one after the other and ends with one line that counts every test:
// "N passed, N failed, N skipped". It exits with 1 when one failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	total, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
	}
	fmt.Println(total)
	if err != nil || total.failed > 0 {
		os.Exit(1)
	}
}

// run runs the named suites, or all of them.
func run(ctx context.Context, names []string) (count, error) {
	var total count
	for _, name := range names {
		if !slices.ContainsFunc(suites, func(s suite) bool { return s.name == name }) {
			return total, fmt.Errorf("no suite is called %q; there are: %s", name, strings.Join(suiteNames(), ", "))
		}
	}
	var problems []error
	for _, s := range suites {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		began := time.Now()
		fmt.Printf("── %s: %s\n", s.name, s.about)
		result, err := s.run(ctx)
		if err != nil {
			problems = append(problems, fmt.Errorf("suite %s: %w", s.name, err))
			result.failed = max(result.failed, 1)
		}
		total = total.plus(result)
		fmt.Printf("── %s: %s (%s)\n\n", s.name, result, time.Since(began).Round(time.Second))
		if ctx.Err() != nil {
			break
		}
	}
	return total, errors.Join(problems...)
}

// count is how many tests ended which way.
type count struct{ passed, failed, skipped int }

func (c count) plus(other count) count {
	return count{c.passed + other.passed, c.failed + other.failed, c.skipped + other.skipped}
}

func (c count) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}
