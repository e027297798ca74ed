package commandline_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
)

var errRan = errors.New("it ran")

func TestAGroupRefusesWhatItDoesNotHold(t *testing.T) {
	for line, want := range map[string]string{
		"admin":               "",
		"admin --help":        "",
		"admin create --name": "it ran",
		"admin creat":         `unknown command "creat" for "program admin": did you mean create?`,
		"admin organization":  `unknown command "organization" for "program admin": see program admin --help`,
		"admin --name bogus":  `unknown command "bogus" for "program admin": see program admin --help`,
	} {
		root := &cobra.Command{
			Use: "program", SilenceErrors: true, SilenceUsage: true,
			PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
				if cmd.HasSubCommands() {
					t.Errorf("%s: prepares to run", line)
				}
				return nil
			},
		}
		root.PersistentFlags().Bool("name", false, "")
		root.AddCommand(commandline.Group("admin", "Administer", &cobra.Command{
			Use: "create", RunE: func(*cobra.Command, []string) error { return errRan },
		}))
		var out strings.Builder
		root.SetOut(&out)
		root.SetArgs(strings.Fields(line))
		err := root.Execute()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: error %v, want %q", line, err, want)
		}
		if help := strings.Contains(out.String(), "Available Commands:"); help != (want == "") {
			t.Errorf("%s: prints %q", line, out.String())
		}
	}
}
