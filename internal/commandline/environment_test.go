package commandline_test

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/commandline"
)

func TestFlagsComeFromTheirVariables(t *testing.T) {
	either := func(flag *pflag.Flag) []string {
		if flag.Name != "data-dir" {
			return nil
		}
		return append(commandline.Named(flag), "OLD_NAME")
	}
	for sentence, test := range map[string]struct {
		line        string
		environment map[string]string
		variables   func(*pflag.Flag) []string
		want, fails string
	}{
		"takes the variable of its name":   {"", map[string]string{"DATA_DIR": "/a"}, commandline.Named, "/a", ""},
		"prefers the command line":         {"--data-dir=/b", map[string]string{"DATA_DIR": "/a"}, commandline.Named, "/b", ""},
		"takes an empty variable as given": {"", map[string]string{"DATA_DIR": ""}, commandline.Named, "", ""},
		"prefers the first variable":       {"", map[string]string{"DATA_DIR": "/a", "OLD_NAME": "/b"}, either, "/a", ""},
		"takes another where that is not":  {"", map[string]string{"OLD_NAME": "/b"}, either, "/b", ""},
		"has no variable":                  {"", map[string]string{"DATA_DIR": "/a"}, func(*pflag.Flag) []string { return nil }, "/vol", ""},
		"names what does not fit":          {"", map[string]string{"PORT": "eighty"}, commandline.Named, "/vol", "PORT"},
	} {
		flags := pflag.NewFlagSet("program", pflag.ContinueOnError)
		got := flags.String("data-dir", "/vol", "")
		flags.Int("port", 0, "")
		flags.Bool("help", false, "")
		if err := flags.Parse(strings.Fields(test.line)); err != nil {
			t.Fatal(err)
		}
		err := commandline.FromEnvironment(flags, test.variables, func(name string) (string, bool) {
			value, set := test.environment[name]
			return value, set
		})
		if *got != test.want || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("a flag %s: %q, %v", sentence, *got, err)
		}
	}
}
