// Package commandline holds what the command lines of the programs share.
package commandline

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Group returns a command that only holds others. Called alone it prints its help. A command that it does not hold is an
// error: cobra prints help for it and succeeds, which a script with a typing error takes for done.
func Group(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short, DisableFlagsInUseLine: true, SuggestionsMinimumDistance: 2,
		Args: ofGroup,
		RunE: func(*cobra.Command, []string) error { return pflag.ErrHelp }, // without it cobra asks for no arguments
	}
	group.AddCommand(commands...)
	return group
}

// ofGroup has the help printed before anything else happens: what connects to a server before every command must not.
func ofGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return pflag.ErrHelp
	}
	hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(similar, " or "))
	}
	return fmt.Errorf("unknown command %q for %q: %s", args[0], cmd.CommandPath(), hint)
}
