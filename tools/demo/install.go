package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// namespace holds the operator, the custom resource and the application: the mission's commands name none.
	namespace = "wandb"
	// deployNamespace holds the vendor's side.
	deployNamespace = "deploy"
	resourceName    = "wandb"
	// demoLabel marks the namespaces that the demo made and may delete.
	demoLabel   = "kubewandb.io/demo"
	channelName = "stable"
	customer    = "demo"
	readyLimit  = 5 * time.Minute
)

var programs = []string{"controller-manager", "deploy-server", "server", "console"}

// Up brings everything up; a second call repairs what is missing and changes nothing else.
func (d *Demo) Up(ctx context.Context) error {
	if err := os.MkdirAll(d.settings.Dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", d.settings.Dir, err)
	}
	if err := d.progress.step("Build the demo's own tools", func() error { return d.buildTools(ctx) }); err != nil {
		return err
	}
	current, err := d.readState()
	if err != nil {
		return err
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error {
		return d.progress.step("Start the cluster", func() error { return d.cluster.up(groupContext) })
	})
	group.Go(func() error {
		if err := d.progress.step("Build the web pages", func() error { return d.buildWeb(groupContext) }); err != nil {
			return err
		}
		return d.progress.step("Build the programs", func() error { return d.buildPrograms(groupContext) })
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := d.writeAuthorityBundle(); err != nil {
		return err
	}
	var images map[string]imageReference
	steps := []struct {
		name string
		work func() error
	}{
		{"Build and load the images", func() (err error) {
			images, err = d.cluster.publish(ctx, current.Version, programs...)
			return err
		}},
		{"Prepare the namespaces", func() error { return d.prepareNamespaces(ctx) }},
		{"Install the deploy server", func() error { return d.installDeployServer(ctx, images["deploy-server"]) }},
		{"Publish charts, licence and release", func() error { return d.publishFirst(ctx, current.Version, images) }},
		{"Install the operator", func() error { return d.installOperator(ctx, images["controller-manager"]) }},
		{"Apply the custom resource", func() error { return d.applyResource(ctx) }},
		{"Wait until W&B is Ready", func() error { return d.waitReady(ctx) }},
		{"Reach it from this machine", func() error { return d.reachApplication(ctx) }},
	}
	for _, step := range steps {
		if err := d.progress.step(step.name, step.work); err != nil {
			return err
		}
	}
	if err := d.writeState(current); err != nil {
		return err
	}
	return d.report(ctx, current.Version)
}

// prepareNamespaces makes both namespaces with the restricted Pod Security Standard enforced, and the secrets that
// people would make by hand: the deploy server's admin token.
func (d *Demo) prepareNamespaces(ctx context.Context) error {
	token, err := d.keepSecret("admin-token", func() (string, error) { return randomToken(), nil })
	if err != nil {
		return err
	}
	manifest := ""
	for _, name := range []string{namespace, deployNamespace} {
		if err := d.claimNamespace(ctx, name); err != nil {
			return err
		}
		manifest += fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels:
    %s: "true"
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
---
`, name, demoLabel)
	}
	secret, err := secretManifest(deployNamespace, "deploy-server-admin", map[string]string{"token": token})
	if err != nil {
		return err
	}
	return d.apply(ctx, manifest+secret)
}

// claimNamespace refuses a namespace that is there already and is not the demo's: demo-down deletes what it finds inside.
func (d *Demo) claimNamespace(ctx context.Context, name string) error {
	labels, err := d.kubectl(ctx, "get", "namespace", name, "--ignore-not-found", "--output", "jsonpath={.metadata.name} {.metadata.labels}")
	if err != nil || strings.TrimSpace(labels) == "" || strings.Contains(labels, demoLabel) {
		return err
	}
	return &fault.Error{Reason: "NamespaceTaken", Op: "use namespace " + name,
		Hint: "It exists and is not the demo's. Use another cluster, or give it to the demo: kubectl label namespace " + name + " " + demoLabel + "=true."}
}

func (d *Demo) installDeployServer(ctx context.Context, image imageReference) error {
	return d.helmInstall(ctx, "deploy-server", "charts/deploy-server", deployNamespace, map[string]any{
		"image":       map[string]any{"repository": image.Repository, "digest": image.Digest},
		"externalURL": d.deployURL(),
		"adminToken":  map[string]any{"existingSecret": "deploy-server-admin", "key": "token"},
		"ingress":     map[string]any{"enabled": true, "host": d.deployHost()},
	}, "--wait", "--timeout=3m")
}

// installOperator does what the documentation tells a customer to do, from the deploy server's Helm repository.
// The chart names the digest of its image, so the values say only where images are pulled from.
func (d *Demo) installOperator(ctx context.Context, image imageReference) error {
	repo := []string{"repo", "add", "wandb", d.deployURL() + "/charts", "--force-update"}
	if ca := d.cluster.authority(); ca != "" {
		repo = append(repo, "--ca-file", ca)
	}
	if _, err := d.helm(ctx, repo...); err != nil {
		return err
	}
	if _, err := d.helm(ctx, "repo", "update", "wandb"); err != nil {
		return err
	}
	jwks, err := invocation{env: d.programEnv()}.run(ctx, "deploy-server", "license", "keys")
	if err != nil {
		return err
	}
	values := map[string]any{
		"image":   map[string]any{"repository": image.Repository},
		"channel": map[string]any{"url": d.deployURL(), "trust": "TLS", "jwks": strings.TrimSpace(jwks)},
	}
	if ca := d.cluster.authority(); ca != "" {
		content, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("read CA: %w", err)
		}
		values["customCACerts"] = []any{string(content)}
	}
	return d.helmInstall(ctx, "operator", "wandb/operator", namespace, values, "--wait", "--timeout=3m")
}

// applyResource applies the custom resource that a customer would write, and keeps it as a file to look at.
func (d *Demo) applyResource(ctx context.Context) error {
	licence, err := os.ReadFile(d.path("license.jwt"))
	if err != nil {
		return fmt.Errorf("read licence: %w", err)
	}
	secret, err := secretManifest(namespace, "demo-license", map[string]string{"license": strings.TrimSpace(string(licence))})
	if err != nil {
		return err
	}
	if err := d.apply(ctx, secret); err != nil {
		return err
	}
	authority, err := d.trusted()
	if err != nil {
		return err
	}
	resource := fmt.Sprintf(`apiVersion: apps.wandb.com/v1
kind: WeightsAndBiases
metadata:
  name: %s
  namespace: %s
  labels:
    app.kubernetes.io/name: weightsandbiases
    app.kubernetes.io/instance: wandb
spec:
  values:
    global:
      host: %s
      size: dev
      licenseSecret:
        name: demo-license
        key: license
%s`, resourceName, namespace, d.wandbURL(), authority)
	if !sameFile(d.path("operator.yaml"), []byte(resource)) {
		if err := os.WriteFile(d.path("operator.yaml"), []byte(resource), 0o644); err != nil {
			return fmt.Errorf("write operator.yaml: %w", err)
		}
	}
	_, err = d.kubectl(ctx, "apply", "--server-side", "--field-manager=kubectl", "-f", d.path("operator.yaml"))
	return err
}

// trusted makes pods trust the authority behind the ingress, as the probe does that goes the way of people.
func (d *Demo) trusted() (string, error) {
	file := d.cluster.authority()
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read CA: %w", err)
	}
	return "      customCACerts:\n      - |\n        " + strings.ReplaceAll(strings.TrimSpace(string(content)), "\n", "\n        ") + "\n", nil
}

func (d *Demo) waitReady(ctx context.Context) error {
	return poll(ctx, readyLimit, 500*time.Millisecond, func(ctx context.Context) (bool, string, error) {
		resource, err := d.resource(ctx)
		if err != nil {
			return false, "", err
		}
		ready := resource.condition("Ready")
		settled := resource.Status.ObservedGeneration == resource.Metadata.Generation
		return ready.Status == "True" && settled, fmt.Sprintf("Ready=%s, reason %s: %s", ready.Status, ready.Reason, ready.Message), nil
	})
}

func (d *Demo) helm(ctx context.Context, arguments ...string) (string, error) {
	return invocation{env: d.programEnv()}.run(ctx, "helm", arguments...)
}

func (d *Demo) helmInstall(ctx context.Context, release, chart, inNamespace string, values map[string]any, more ...string) error {
	content, err := yaml.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode values of %s: %w", release, err)
	}
	path := d.path(release + "-values.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write values of %s: %w", release, err)
	}
	_, err = d.helm(ctx, append([]string{"upgrade", "--install", release, chart, "--namespace", inNamespace, "--values", path}, more...)...)
	return err
}

// keepSecret returns what the file holds, and makes it once where it does not exist.
func (d *Demo) keepSecret(name string, make func() (string, error)) (string, error) {
	content, err := os.ReadFile(d.path(name))
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	value, err := make()
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(d.path(name), []byte(value+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	return value, nil
}

func randomToken() string { return rand.Text() + rand.Text() }

func secretManifest(inNamespace, name string, data map[string]string) (string, error) {
	manifest, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret",
		"metadata":   map[string]any{"name": name, "namespace": inNamespace},
		"stringData": data,
	})
	if err != nil {
		return "", fmt.Errorf("encode Secret %s: %w", name, err)
	}
	return string(manifest) + "\n", nil
}
