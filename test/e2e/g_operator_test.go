package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestG1TheMissionsCommandUpdatesTheOperator publishes a newer operator chart, whose image, custom resource definition and
// Role differ from what runs, and updates with the documented command. --reuse-values must freeze none of the three.
func TestG1TheMissionsCommandUpdatesTheOperator(t *testing.T) {
	imageBefore, workloads := operatorImage(t), applicationUIDs(t)
	column := `{.spec.versions[0].additionalPrinterColumns[*].name}`
	columns := shell(t, "kubectl", "get", "crd", "weightsandbiases.apps.wandb.com", "-o", "jsonpath="+column)
	// An older definition: one that lacks a column.
	shell(t, "kubectl", "patch", "crd", "weightsandbiases.apps.wandb.com", "--type=json", "-p",
		`[{"op":"remove","path":"/spec/versions/0/additionalPrinterColumns/0"}]`)

	publishOperator(t, "0.9.0")
	shell(t, "helm", "repo", "update", "wandb")
	shell(t, "helm", "upgrade", "operator", "wandb/operator", "--reuse-values", "--wait", "--timeout=2m")

	eventually(t, time.Minute, func() string {
		if image := operatorImage(t); image == imageBefore || image == "" {
			return "the operator still runs " + image
		}
		return ""
	})
	if after := shell(t, "kubectl", "get", "crd", "weightsandbiases.apps.wandb.com", "-o", "jsonpath="+column); after != columns {
		t.Errorf("the definition has columns %q, want %q", after, columns)
	}
	if rules := shell(t, "kubectl", "get", "roles", "-o", "jsonpath={.items[*].rules[*].resourceNames}"); !strings.Contains(rules, "e2e-marker") {
		t.Errorf("the rule that the newer chart adds did not arrive: %s", rules)
	}
	awaitCondition(t, time.Minute, "Ready", "True", "")
	if after := applicationUIDs(t); after != workloads {
		t.Errorf("updating the operator touched the application: %s, before %s", after, workloads)
	}
}

func operatorImage(t *testing.T) string {
	t.Helper()
	var image string
	for _, p := range pods(t, namespace, "control-plane=controller-manager") {
		for _, container := range p.Status.ContainerStatuses {
			image = container.ImageID
		}
	}
	return image
}

// publishOperator builds the operator as another version and publishes its chart with one rule more.
func publishOperator(t *testing.T, version string) {
	t.Helper()
	out := t.TempDir()
	archive := strings.TrimSpace(shell(t, "go", "run", "./tools/image", "--version", version, "--out", out, "controller-manager"))
	_, digest, _ := strings.Cut(strings.TrimSpace(shell(t, "localcluster", "--name", clusterName, "load", archive)), "@")

	root := filepath.Join(out, "source")
	must(t, os.CopyFS(filepath.Join(root, "charts"), os.DirFS(filepath.Join(system.root, "charts"))))
	roles := filepath.Join(root, "charts", "operator", "templates", "leader-election.yaml")
	text, err := os.ReadFile(roles)
	must(t, err)
	rules := regexp.MustCompile(`(?m)^rules:\n`)
	if !rules.Match(text) {
		t.Fatalf("%s has no line that begins its rules", roles)
	}
	extra := "rules:\n  - apiGroups: [\"\"]\n    resources: [configmaps]\n    resourceNames: [e2e-marker]\n    verbs: [get]\n"
	must(t, os.WriteFile(roles, rules.ReplaceAll(text, []byte(extra)), 0o600))

	shell(t, "go", "run", "./tools/chart", "--root", root, "package", "--version", version, "--app-version", version,
		"--annotation", "kubewandb.io/image-digest="+digest, "--out", out, "operator")
	shell(t, "deploy-server", "chart", "push", filepath.Join(out, "operator-"+version+".tgz"))
}
