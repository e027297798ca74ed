package kubectl_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/kubectl"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

const rights = `
## Rights

Every command runs with the rights of whoever calls it, in the namespace of the resource.

| command | needs |
|---|---|
| all but ` + "`version`" + ` | get and list ` + "`weightsandbiases`" + `; with ` + "`--watch`" + ` and ` + "`--wait`" + ` also watch |
| ` + "`status`" + ` | get Secret ` + "`<name>-spec-user`" + ` to show what people have asked for; it goes on without |
| ` + "`explain`" + ` | get Secrets ` + "`<name>-spec-active`" + `, ` + "`<name>-spec-user`" + `; list and get Secrets, to learn from the chart's schema what is a credential: without, names and forms decide |
| ` + "`diff`" + `, ` + "`approve`" + `, ` + "`adopt`" + ` | get Secret ` + "`<name>-plan`" + ` |
| ` + "`approve`" + `, ` + "`pin`" + `, ` + "`unpin`" + `, ` + "`suspend`" + `, ` + "`resume`" + `, ` + "`rollback`" + `, ` + "`retry`" + `, ` + "`force`" + ` | get and update Secret ` + "`<name>-spec-user`" + `; who asks is what the API server says |
| ` + "`adopt`" + ` | list and get Secrets; list ConfigMaps, Services, DaemonSets, Deployments, StatefulSets, Ingresses, Roles and RoleBindings: kinds that you may not list are named |
| ` + "`preflight`" + ` | get the Secrets that the values name; list nodes, pods, IngressClasses and StorageClasses: a check whose right is missing says so |

Whoever may read these Secrets can read the credentials in them. No command prints one.
`

// reference renders the help of every command as one page.
func reference() string {
	var b strings.Builder
	root := kubectl.Command(kubectl.Streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
	root.InitDefaultCompletionCmd()
	fmt.Fprintf(&b, "<!-- Generated from the commands' own help by `make generate`. -->\n# kubectl wandb\n\n%s\n\n", root.Long)
	b.WriteString("Put the program `kubectl-wandb` on your PATH; `kubectl` finds it there by its name. Colours are shown on a terminal, and not with `NO_COLOR`.\n\n")
	b.WriteString("| command | does |\n|---|---|\n")
	for _, command := range root.Commands() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", command.Name(), command.Name(), command.Short)
	}
	b.WriteString("\nFlags of every command:\n\n```\n" + flags(root.PersistentFlags().FlagUsages()) + "```\n")
	for _, command := range root.Commands() {
		describe(&b, command)
	}
	b.WriteString(rights)
	return b.String()
}

func describe(b *strings.Builder, command *cobra.Command) {
	long := command.Long
	if long == "" {
		long = command.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n", command.Name())
	if command.Name() == "completion" { // cobra's own
		shells := make([]string, 0, 4)
		for _, shell := range command.Commands() {
			shells = append(shells, "`"+shell.Name()+"`")
		}
		fmt.Fprintf(b, "Print a completion script for %s.\n", strings.Join(shells, ", "))
		return
	}
	fmt.Fprintf(b, "%s\n\n```\nkubectl wandb %s\n```\n", strings.ReplaceAll(long, "<", "&lt;"), command.Use)
	if command.Example != "" {
		b.WriteString("\nExamples:\n\n```\n" + strings.ReplaceAll(strings.TrimPrefix(command.Example, "  "), "\n  ", "\n") + "\n```\n")
	}
	if usages := command.LocalFlags().FlagUsages(); usages != "" {
		b.WriteString("\nFlags:\n\n```\n" + flags(usages) + "```\n")
	}
}

// flags drops the folder of whoever generates the page.
func flags(usages string) string {
	var lines []string
	for line := range strings.Lines(usages) {
		lines = append(lines, strings.TrimRight(line, " \n")+"\n")
	}
	return strings.Join(lines, "")
}

func TestTheReferenceIsUpToDate(t *testing.T) {
	path := filepath.Join(testenv.Root(t), "docs", "reference", "kubectl-wandb.md")
	got := reference()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/reference/kubectl-wandb.md is not what the commands say: run `make generate`.\n%s", diff)
	}
}
