package commandline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Lookup finds a variable, as os.LookupEnv does.
type Lookup func(name string) (value string, set bool)

// FromEnvironment sets each flag that the command line leaves alone from the first of its variables that is set, and names
// those that do not fit. A flag has the variables that the function says. One that tells what a single call does should have
// none: a shell's USERNAME means something else. Flags that are set so do not count as changed.
func FromEnvironment(flags *pflag.FlagSet, variables func(*pflag.Flag) []string, lookup Lookup) error {
	var errs []error
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			return
		}
		for _, name := range variables(flag) {
			value, set := lookup(name)
			if !set {
				continue
			}
			if err := flag.Value.Set(value); err != nil {
				errs = append(errs, fmt.Errorf("read environment variable %s: %w", name, err))
			}
			return
		}
	})
	return errors.Join(errs...)
}

// Named gives a flag the variable of its name in upper snake case: --charts-dir has CHARTS_DIR.
func Named(flag *pflag.Flag) []string {
	if flag.Name == "help" || flag.Name == "version" {
		return nil
	}
	return []string{strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
}
