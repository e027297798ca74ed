package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// cluster is where the demo runs: one that it starts itself, or one that somebody has.
type cluster interface {
	// up makes the cluster answer and writes a kubeconfig whose default namespace is the demo's.
	up(ctx context.Context) error
	// publish puts the images of programs where the cluster's nodes pull from, and returns a reference for each.
	publish(ctx context.Context, version string, programs ...string) (map[string]imageReference, error)
	// authority returns the file of the CA behind the ingress, "" where clients trust it already.
	authority() string
	// down removes what the demo made.
	down(ctx context.Context) error
}

// imageReference names an image by digest.
type imageReference struct{ Repository, Digest string }

func parseReference(text string) (imageReference, error) {
	repository, digest, found := strings.Cut(strings.TrimSpace(text), "@")
	if !found || !strings.HasPrefix(digest, "sha256:") {
		return imageReference{}, fmt.Errorf("%q is no reference by digest (want repository@sha256:…)", text)
	}
	return imageReference{Repository: repository, Digest: digest}, nil
}

func (d *Demo) kubeconfig() string { return d.path("kubeconfig") }

// kubectl runs kubectl against the demo's cluster.
func (d *Demo) kubectl(ctx context.Context, arguments ...string) (string, error) {
	return invocation{env: d.programEnv()}.run(ctx, "kubectl", arguments...)
}

// apply applies a manifest server-side, so that a second run changes nothing.
func (d *Demo) apply(ctx context.Context, manifest string) error {
	_, err := invocation{env: d.programEnv(), stdin: strings.NewReader(manifest)}.run(ctx,
		"kubectl", "apply", "--server-side", "--field-manager=demo", "--force-conflicts", "-f", "-")
	return err
}

// programEnv is the environment of every program that talks to the demo: what `make demo-env` exports.
func (d *Demo) programEnv() []string {
	env := make([]string, 0, 8)
	for _, variable := range d.variables() {
		env = append(env, variable.name+"="+variable.value)
	}
	return env
}

// writeKubeconfig flattens one context into a file of its own with the demo's default namespace.
func (d *Demo) writeKubeconfig(ctx context.Context, source, kubeContext string) error {
	arguments := []string{"config", "view", "--minify", "--flatten"}
	if source != "" {
		arguments = append(arguments, "--kubeconfig", source)
	}
	if kubeContext != "" {
		arguments = append(arguments, "--context", kubeContext)
	}
	content, err := invocation{env: []string{d.pathVariable()}}.run(ctx, "kubectl", arguments...)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.kubeconfig(), []byte(content), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	_, err = d.kubectl(ctx, "config", "set-context", "--current", "--namespace", namespace)
	return err
}

// localCluster is a one-node Kubernetes of the demo's own (tools/localcluster).
type localCluster struct{ demo *Demo }

var _ cluster = (*localCluster)(nil)

func (c *localCluster) run(ctx context.Context, arguments ...string) (string, error) {
	program := filepath.Join(binDir, "localcluster")
	return invocation{stream: c.demo.progress.out}.run(ctx, program, append([]string{"--name", c.demo.settings.Name}, arguments...)...)
}

func (c *localCluster) up(ctx context.Context) error {
	if _, err := c.run(ctx, "up"); err != nil {
		return err
	}
	env, err := c.environment(ctx)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(env["CA_FILE"])
	if err != nil {
		return fmt.Errorf("read the cluster's CA: %w", err)
	}
	if err := os.WriteFile(c.authority(), ca, 0o644); err != nil {
		return fmt.Errorf("write CA: %w", err)
	}
	if err := c.demo.linkPrograms(env["BIN"]); err != nil {
		return err
	}
	return c.demo.writeKubeconfig(ctx, env["KUBECONFIG"], "")
}

// environment reads what `localcluster env` exports.
func (c *localCluster) environment(ctx context.Context) (map[string]string, error) {
	output, err := c.run(ctx, "env")
	if err != nil {
		return nil, err
	}
	env := make(map[string]string)
	for line := range strings.Lines(output) {
		name, value, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if found {
			env[name] = strings.Trim(value, `'"`)
		}
	}
	for _, name := range []string{"KUBECONFIG", "CA_FILE", "BIN"} {
		if env[name] == "" {
			return nil, fmt.Errorf("localcluster env does not export %s", name)
		}
	}
	return env, nil
}

func (c *localCluster) publish(ctx context.Context, version string, programs ...string) (map[string]imageReference, error) {
	archives, err := c.demo.buildImages(ctx, version, nil, programs...)
	if err != nil {
		return nil, err
	}
	output, err := c.run(ctx, append([]string{"load"}, archives...)...)
	if err != nil {
		return nil, err
	}
	return pairReferences(output, programs)
}

func (c *localCluster) authority() string { return c.demo.path("ca.crt") }

func (c *localCluster) down(ctx context.Context) error {
	_, err := c.run(ctx, "down", "--purge")
	return err
}

// existingCluster is one that the user names by a context of their kubeconfig.
type existingCluster struct{ demo *Demo }

var _ cluster = (*existingCluster)(nil)

func (c *existingCluster) up(ctx context.Context) error {
	if err := c.demo.writeKubeconfig(ctx, "", c.demo.settings.Context); err != nil {
		return err
	}
	if _, err := c.demo.kubectl(ctx, "version"); err != nil {
		return &fault.Error{Reason: "ClusterUnreachable", Op: "reach the cluster of context " + c.demo.settings.Context,
			Hint: "Check it with: kubectl --context " + c.demo.settings.Context + " version.", Err: err}
	}
	return nil
}

func (c *existingCluster) publish(ctx context.Context, version string, programs ...string) (map[string]imageReference, error) {
	// Only what the nodes run is built: another architecture would compile everything once more.
	output, err := c.demo.kubectl(ctx, "get", "nodes", "--output", `jsonpath={range .items[*]}linux/{.status.nodeInfo.architecture}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	platforms := strings.Fields(output)
	slices.Sort(platforms)
	push := []string{"--repo", c.demo.settings.ImageRepo, "--platform", strings.Join(slices.Compact(platforms), ",")}
	references, err := c.demo.buildImages(ctx, version, push, programs...)
	if err != nil {
		return nil, err
	}
	return pairReferences(strings.Join(references, "\n"), programs)
}

func (c *existingCluster) authority() string { return c.demo.settings.CAFile }

// down removes what carries the demo's label, and the definition where nobody else has a resource of it.
func (c *existingCluster) down(ctx context.Context) error {
	d := c.demo
	_, err := d.kubectl(ctx, "get", "namespace", namespace, "--ignore-not-found")
	if err != nil {
		return err
	}
	_, crErr := d.kubectl(ctx, "delete", "wandb", resourceName, "--namespace", namespace, "--ignore-not-found", "--timeout=120s")
	_, operatorErr := d.helm(ctx, "uninstall", "operator", "--namespace", namespace, "--ignore-not-found", "--wait")
	_, namespaceErr := d.kubectl(ctx, "delete", "namespace", "--selector", demoLabel, "--timeout=180s")
	others, listErr := d.kubectl(ctx, "get", "wandb", "--all-namespaces", "--output", "name", "--ignore-not-found")
	if listErr == nil && strings.TrimSpace(others) == "" {
		_, listErr = d.kubectl(ctx, "delete", "crd", "weightsandbiases.apps.wandb.com", "--ignore-not-found", "--timeout=60s")
	}
	return errors.Join(crErr, operatorErr, namespaceErr, listErr)
}

// pairReferences reads one reference by digest per line, in the order of programs.
func pairReferences(output string, programs []string) (map[string]imageReference, error) {
	references := make(map[string]imageReference, len(programs))
	scanner := bufio.NewScanner(strings.NewReader(output))
	for _, program := range programs {
		if !scanner.Scan() {
			return nil, fmt.Errorf("no reference was printed for the image of %s", program)
		}
		reference, err := parseReference(scanner.Text())
		if err != nil {
			return nil, err
		}
		references[program] = reference
	}
	return references, nil
}
