package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// rolloutLimit is how long a release may take to arrive and to be Ready.
const rolloutLimit = 3 * time.Minute

// Release publishes the next version and watches it arrive: what a release engineer and a customer would see, with times.
func (d *Demo) Release(ctx context.Context) error {
	current, err := d.readState()
	if err != nil {
		return err
	}
	version, err := nextPatch(current.Version)
	if err != nil {
		return err
	}
	before, err := d.resource(ctx)
	if err != nil {
		return err
	}
	podsBefore, err := d.applicationPods(ctx)
	if err != nil {
		return err
	}
	images := make(map[string]imageReference)
	if err := d.progress.step("Build version "+version+" of the server", func() error {
		images, err = d.cluster.publish(ctx, version, "server", "console")
		return err
	}); err != nil {
		return err
	}
	chartVersion, err := d.publishChart(ctx, applicationChart)
	if err != nil {
		return err
	}
	watch, err := d.watchResource(ctx)
	if err != nil {
		return err
	}
	defer watch.stop()

	published := time.Now()
	if err := d.progress.step("Publish and promote it to channel "+channelName, func() error {
		return d.publishRelease(ctx, version, chartVersion, images)
	}); err != nil {
		return err
	}
	if err := d.writeState(state{Version: version}); err != nil {
		return err
	}

	arrived, err := watch.until(ctx, func(r resource) bool { return r.Status.Channel.ReleaseName != before.Status.Channel.ReleaseName })
	if err != nil {
		return fmt.Errorf("wait until the operator notices the release: %w", err)
	}
	noticed := time.Since(published)
	d.progress.line("  ✓ The operator noticed %s", arrived.Status.Channel.ReleaseName)
	done, err := watch.until(ctx, func(r resource) bool {
		return r.condition("Ready").Status == "True" && r.condition("UpToDate").Status == "True" &&
			r.Status.Release.Name == arrived.Status.Channel.ReleaseName
	})
	if err != nil {
		return fmt.Errorf("wait until the release is Ready: %w", err)
	}
	took := time.Since(published)
	podsAfter, err := d.applicationPods(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, `
Release %s was published and is running.
  noticed after %.1f s
  Ready after %.1f s
  custom resource generation  %d → %d
  Helm revision               %d → %d
  image of the application    %s
                            → %s
`, done.Status.Release.Name, noticed.Seconds(), took.Seconds(), before.Metadata.Generation, done.Metadata.Generation,
		before.Status.Release.Revision, done.Status.Release.Revision, podsBefore, podsAfter)
	return err
}

// applicationPods returns the image IDs of the application's pods.
func (d *Demo) applicationPods(ctx context.Context) (string, error) {
	output, err := d.kubectl(ctx, "get", "pods", "--namespace", namespace, "--selector", "app.kubernetes.io/component=app",
		"--field-selector", "status.phase=Running", "--output", "jsonpath={.items[*].status.containerStatuses[*].imageID}")
	return strings.TrimSpace(output), err
}

// resourceWatch follows the custom resource through one kubectl.
type resourceWatch struct {
	command *exec.Cmd
	decoder *json.Decoder
	cancel  context.CancelFunc
}

func (d *Demo) watchResource(ctx context.Context) (*resourceWatch, error) {
	ctx, cancel := context.WithTimeout(ctx, rolloutLimit)
	command := exec.CommandContext(ctx, ownProgram("kubectl"), "get", "wandb", resourceName, "--namespace", namespace,
		"--watch", "--output", "json", "--request-timeout", strconv.Itoa(int(rolloutLimit.Seconds()))+"s")
	command.Env = append(os.Environ(), d.programEnv()...)
	output, err := command.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open pipe to kubectl: %w", err)
	}
	if err := command.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start kubectl: %w", err)
	}
	return &resourceWatch{command: command, decoder: json.NewDecoder(output), cancel: cancel}, nil
}

// until returns the first state of the resource that match accepts.
func (w *resourceWatch) until(ctx context.Context, match func(resource) bool) (resource, error) {
	var last resource
	for {
		var r resource
		if err := w.decoder.Decode(&r); err != nil {
			ready := last.condition("Ready")
			waiting := fmt.Errorf("last state: Ready=%s, reason %s: %s", ready.Status, ready.Reason, ready.Message)
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the watch ended after %s", rolloutLimit)
			}
			return resource{}, errors.Join(err, waiting, ctx.Err())
		}
		if match(r) {
			return r, nil
		}
		last = r
	}
}

func (w *resourceWatch) stop() {
	w.cancel()
	_ = w.command.Wait() // killed by the cancel above: its exit code says nothing
}
